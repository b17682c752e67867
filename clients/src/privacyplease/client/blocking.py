# Generated from aio.py by scripts/blocking_client.py; do not edit.
"""The client for synchronous code. Threads may share it.

Its methods are in `_internal/aio`, a file per subject.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Self

from privacyplease.client._internal.blocking.approvals import ApprovalMethods
from privacyplease.client._internal.blocking.audit import AuditMethods
from privacyplease.client._internal.blocking.catalogue import CatalogueMethods
from privacyplease.client._internal.blocking.compaction import CompactionMethods
from privacyplease.client._internal.blocking.explanation import ExplanationMethods
from privacyplease.client._internal.blocking.ingestion import IngestionMethods
from privacyplease.client._internal.blocking.keys import KeyMethods
from privacyplease.client._internal.blocking.occupancy import OccupancyMethods
from privacyplease.client._internal.blocking.presence import PresenceMethods
from privacyplease.client._internal.blocking.records import RecordMethods
from privacyplease.client._internal.blocking.stations import StationMethods
from privacyplease.client._internal.blocking.verification import VerificationMethods

# Ten times what the most expensive question should take on a building's data.
_QUERY_TIMEOUT_S = 30.0

# An acknowledgement may have to wait for three others on a slow store; after this time the proxy must have hung.
_STALL_TIMEOUT_S = 120.0


class Client(
    PresenceMethods,
    OccupancyMethods,
    RecordMethods,
    StationMethods,
    ExplanationMethods,
    IngestionMethods,
    CatalogueMethods,
    CompactionMethods,
    KeyMethods,
    VerificationMethods,
    ApprovalMethods,
    AuditMethods,
):
    """Asks a proxy questions, and sends records to it. Threads may share it.

    Both ends show a certificate. One that is not accepted raises `CertificateError`.

    Intervals are closed: a session [s, e] is in [start, end] if s <= end and e >= start. Times are datetimes with a
    time zone, kept to the millisecond; those without one raise `ValueError`. Every other failure raises a
    `PrivacyPleaseError`. While the proxy is unreachable, questions are retried for about a second.

    In the examples, `day` is the first and the last instant of a day on a simulated campus.

    Args:
        address: The proxy's host:port.
        certificates: The folder with the client's `tls.crt` and `tls.key`, and `ca.crt`, the CA of the proxy. The files
            are read again when they change.
        insecure: Plaintext instead of certificates; only to a proxy on this machine.
        timeout: Seconds until a question is given up; None means never.
        stall_timeout: Seconds that an ingest waits for an acknowledgement before it is given up.

    Raises:
        CertificateError: The files cannot be used.
        ValueError: `address` is not HOST:PORT; or neither or both of `certificates` and `insecure` are given, or
            `insecure` for another machine.
    """

    def __init__(
        self,
        address: str,
        *,
        certificates: Path | str | None = None,
        insecure: bool = False,
        timeout: float | None = _QUERY_TIMEOUT_S,
        stall_timeout: float = _STALL_TIMEOUT_S,
    ) -> None:
        # Imported here, because gRPC takes a moment to load.
        from privacyplease.client._internal.blocking.connection import Connection

        self._connection = Connection(address, certificates, insecure, timeout)
        self._stall_timeout = stall_timeout

    def on_behalf_of(self, person: str) -> Client:
        """A client that asks on a person's behalf, over the same connection: for services that others log in to.

        The policy must allow it, and then allows what both may ask. The audit log names both.
        """
        client = copy(self)
        client._connection = self._connection.on_behalf_of(person)
        return client

    def close(self) -> None:
        """Closes the connection; calls that still run on it fail."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
