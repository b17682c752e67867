# Generated from _internal/aio/compaction.py by scripts/blocking_client.py; do not edit.
"""Compaction on demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client.compaction import Compacted

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.compaction_service_pb2_grpc import CompactionServiceStub


class CompactionMethods:
    """Merging segments."""

    _connection: Connection

    def compact(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        dataset: str | None = None,
        include_open: bool = False,
    ) -> Iterator[Compacted]:
        """Merges small segments now, as the proxy also does in the background. Yields each step that is done.

        It changes no answer. Nothing is done until the first step is asked for.

        Args:
            start: Only segments that can hold records from this time on; all if None.
            end: Only segments that can hold records up to this time; all if None.
            dataset: Only this data set.
            include_open: Also segments of the last minutes, which still expect neighbours.
        """
        request = requests.compact(dataset, start, end, include_open)
        for response in self._connection.long_stream(self._compaction.Compact, request):
            yield answers.compacted(response)

    @property
    def _compaction(self) -> CompactionServiceStub:
        from privacyplease.proxy.v1.compaction_service_pb2_grpc import CompactionServiceStub

        return self._connection.stub(CompactionServiceStub)
