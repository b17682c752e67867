# Generated from _internal/aio/verification.py by scripts/blocking_client.py; do not edit.
"""Verifying the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import requests
from privacyplease.client._internal.messages.verification import VerificationReader
from privacyplease.client.verification import Verification, VerificationProgress

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.verification_service_pb2_grpc import VerificationServiceStub


class VerificationMethods:
    """Comparing the store with the manifest."""

    _connection: Connection

    def verify(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        dataset: str | None = None,
        on_progress: Callable[[VerificationProgress], object] | None = None,
    ) -> Verification:
        """Compares what the storage server has with what it must have by the proxy's manifest.

        `timeout` does not apply: the store is read. Records may be ingested meanwhile.

        Args:
            start: Only cells that can hold a record that overlaps [start, end]; from the earliest time if None.
            end: To the latest time if None.
            dataset: Only this data set.
            on_progress: Called with each progress report.
        """
        reader = VerificationReader(on_progress)
        request = requests.verify(dataset, start, end)
        for response in self._connection.long_stream(self._verification.Verify, request):
            reader.read(response)
        return reader.result()

    @property
    def _verification(self) -> VerificationServiceStub:
        from privacyplease.proxy.v1.verification_service_pb2_grpc import VerificationServiceStub

        return self._connection.stub(VerificationServiceStub)
