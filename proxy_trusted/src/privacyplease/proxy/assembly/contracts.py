"""The contracts that the proxy serves, and how many calls of each kind it runs at once."""

from __future__ import annotations

from grpc_health.v1 import health

from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.v1 import (
    access_service_pb2,
    admin_service_pb2,
    approval_service_pb2,
    audit_service_pb2,
    compaction_service_pb2,
    dead_letter_service_pb2,
    explain_service_pb2,
    ingest_service_pb2,
    keys_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
    stations_service_pb2,
    verification_service_pb2,
)
from privacyplease.transport.call_log import methods
from privacyplease.transport.slots import CallKind

CONTRACTS = (
    access_service_pb2.DESCRIPTOR,
    admin_service_pb2.DESCRIPTOR,
    approval_service_pb2.DESCRIPTOR,
    audit_service_pb2.DESCRIPTOR,
    compaction_service_pb2.DESCRIPTOR,
    dead_letter_service_pb2.DESCRIPTOR,
    explain_service_pb2.DESCRIPTOR,
    ingest_service_pb2.DESCRIPTOR,
    keys_service_pb2.DESCRIPTOR,
    occupancy_service_pb2.DESCRIPTOR,
    presence_service_pb2.DESCRIPTOR,
    query_service_pb2.DESCRIPTOR,
    stations_service_pb2.DESCRIPTOR,
    verification_service_pb2.DESCRIPTOR,
)
SERVICES = tuple(name for contract in CONTRACTS for name in (s.full_name for s in contract.services_by_name.values()))
METHODS = methods(CONTRACTS)

# The services of a proxy on an exported keyring.
COUNTING = frozenset(s.full_name for s in occupancy_service_pb2.DESCRIPTOR.services_by_name.values())

# What a proxy serves while the restore of its home waits for an approval.
WHILE_WAITING = frozenset(f"privacyplease.proxy.v1.{name}Service" for name in ("Access", "Admin", "Approval", "Audit"))

_STATUS = "/privacyplease.proxy.v1.AdminService/GetStatus"
INGEST = "/privacyplease.proxy.v1.IngestService/Ingest"
# Services whose calls may have to read the whole store or the whole log.
_MAINTENANCE = tuple(
    f"/privacyplease.proxy.v1.{service}Service/" for service in ("Audit", "Compaction", "Keys", "Verification")
)
_WATCHES, _STATUSES, _REFLECTIONS, _MAINTAINED = 16, 8, 4, 4
_DAY_SECONDS = 86_400.0
_STATUS_SECONDS = 5.0


def kinds(settings: ProxySettings) -> tuple[CallKind, ...]:
    """The kinds of calls, most specific first: what matches none of the others is a question."""
    return (
        CallKind("watch", (f"/{health.SERVICE_NAME}/Watch",), _WATCHES, None, while_stopping=True),
        CallKind("status", (f"/{health.SERVICE_NAME}/", _STATUS), _STATUSES, _STATUS_SECONDS, while_stopping=True),
        CallKind("reflection", ("/grpc.reflection.",), _REFLECTIONS, _STATUS_SECONDS),
        CallKind("ingest", (INGEST,), settings.streams, None),
        CallKind("maintenance", _MAINTENANCE, _MAINTAINED, _DAY_SECONDS),
        CallKind(
            "question",
            ("/",),
            settings.questions,
            settings.question_seconds,
            message_seconds=settings.message_seconds,
        ),
    )
