"""All targets by name."""

from tests.soak.parsers import ingest_targets, proxy_targets, rpc_targets

TARGETS = proxy_targets.TARGETS | ingest_targets.TARGETS | rpc_targets.TARGETS
