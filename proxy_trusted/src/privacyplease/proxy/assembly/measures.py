"""Metrics that are read off the parts of the proxy when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Engine

from privacyplease.proxy.backup import known
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.manifest.cells import AnswerCounts
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.v1 import error_reason_pb2 as reasons


def answers_of(answers: AnswerCounts) -> Iterable[Metric]:
    """What became of the storage server's answers."""
    found = "Answers of the storage server that were"
    yield CounterMetricFamily("privacyplease_proxy_verified_answers", f"{found} whole.", value=answers.whole)
    failures = CounterMetricFamily("privacyplease_proxy_verification_failures", f"{found} refused.", labels=["reason"])
    refused = answers.refused
    for error in UntrustedAnswerError.__subclasses__():
        failures.add_metric([reasons.ErrorReason.Name(error.reason)], refused[error.reason])
    yield failures


def manifest_of(manifest: Manifest) -> Iterable[Metric]:
    """How many segments there are, and how often something about them went wrong."""
    segments = GaugeMetricFamily("privacyplease_proxy_segments", "Segments in the manifest.", labels=["state"])
    for state, number in manifest.size().items():
        segments.add_metric([state.name.lower()], number)
    yield segments
    yield GaugeMetricFamily(
        "privacyplease_proxy_outgrown_cells",
        "Cells larger than cells of as many records should be.",
        value=manifest.outgrown,
    )
    yield CounterMetricFamily(
        "privacyplease_proxy_witness_failures", "Times a witness was away.", value=manifest.witnesses.failures
    )


def backups_of(store: Engine) -> Iterable[Metric]:
    """How many data keys are in no backup."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_keys_without_backup", "Data keys in no backup.", value=known.keys_without(store)
    )


def memory_of(memory: CellCache) -> Iterable[Metric]:
    """What became of the cells in memory."""
    figures = memory.figures
    looks = CounterMetricFamily("privacyplease_proxy_cache_cells", "Cells that questions needed.", labels=["outcome"])
    looks.add_metric(["hit"], figures.hits)
    looks.add_metric(["miss"], figures.misses)
    yield looks
    yield GaugeMetricFamily("privacyplease_proxy_cache_bytes", "Cells in memory, as stored.", value=figures.bytes)
