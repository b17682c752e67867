# Generated from _internal/aio/audit.py by scripts/blocking_client.py; do not edit.
"""The proxy's audit log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client.audit import AuditEntry, AuditVerdict
from privacyplease.proxy.v1.audit_service_pb2 import VerifyLogRequest

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.audit_service_pb2_grpc import AuditServiceStub


class AuditMethods:
    """Reading and verifying the audit log."""

    _connection: Connection

    def audit_entries(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        who: str | None = None,
        rpc: str | None = None,
        device: str | None = None,
    ) -> tuple[AuditEntry, ...]:
        """The entries of the proxy's audit log, oldest first, unverified.

        Args:
            start: Not before this time.
            end: Not after this time.
            who: Only by this caller, or on this person's behalf.
            rpc: Only of this rpc, e.g. "PresenceService/FindSessions", or of this service.
            device: Only about this subject.
        """
        request = requests.audit_entries(start, end, who, rpc, device)
        return answers.audit_entries(self._connection.pages(self._audit.ListEntries, request))

    def verify_audit(self) -> AuditVerdict:
        """Checks whether the audit log was tampered with.

        `timeout` does not apply: the whole log is read.
        """
        return answers.audit_verdict(self._connection.long_answer(self._audit.VerifyLog, VerifyLogRequest()))

    @property
    def _audit(self) -> AuditServiceStub:
        from privacyplease.proxy.v1.audit_service_pb2_grpc import AuditServiceStub

        return self._connection.stub(AuditServiceStub)
