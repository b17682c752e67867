"""The buffer of a data set: batches that wait to be flushed together, as one fresh segment per epoch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans

# A flush has at most this many records, unless a single batch has more.
FLUSH_RECORDS = 65_536

# When this many batches wait, they are flushed at once: their senders may be waiting for acknowledgements.
FLUSH_BATCHES = 3

# The same bound in bytes of memory. Records that hardly compress may still make a cell that the server rejects.
FLUSH_BYTES = 16 * 1024 * 1024


class Pending:
    """A batch that is being stored."""

    def __init__(self, parts: int) -> None:
        self._left = parts
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Returns when all of its records are durable.

        Raises:
            StorageError: Some may not be stored.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._left == 0)
            if self._error:
                raise self._error

    @property
    def ended(self) -> bool:
        """Whether every part of it is stored or has failed."""
        return self._left == 0

    def settle(self, error: BaseException | None) -> None:
        """Records that one of its parts is durable, or that storing it failed."""
        with self._changed:
            self._left -= 1
            self._error = self._error or error
            self._changed.notify_all()


class BatchPart(NamedTuple):
    """Records of one batch that are flushed together."""

    records: pa.Table
    pending: Pending


class Buffer:
    """What waits to be flushed. Used only under the writer's lock."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._parts: deque[BatchPart] = deque()
        self._records = 0

    def __len__(self) -> int:
        return self._records

    @property
    def waiting(self) -> list[BatchPart]:
        """The parts that wait."""
        return list(self._parts)

    def add(self, records: pa.Table) -> Pending:
        """Adds a batch, cut into the parts in which it may be flushed."""
        parts = self._cut(records)
        pending = Pending(len(parts))
        self._parts.extend(BatchPart(part, pending) for part in parts)
        self._records += len(records)
        return pending

    @property
    def full(self) -> bool:
        """Whether there is enough for a flush."""
        return self._records >= FLUSH_RECORDS or len(self._parts) >= FLUSH_BATCHES

    def take(self) -> list[BatchPart]:
        """Removes and returns the parts of the next flush.

        With `cover` they are of one epoch, and have no more records than a flush of the cover appears to have.
        """
        most = FLUSH_RECORDS if self.dataset.cover is None else self.dataset.cover_records
        taken: list[BatchPart] = []
        records = size = 0
        while self._parts and (not taken or self._fits(taken, records, size, most)):
            part = self._parts.popleft()
            taken.append(part)
            records += len(part.records)
            size += part.records.nbytes
        self._records -= records
        return taken

    def _fits(self, taken: Sequence[BatchPart], records: int, size: int, most: int) -> bool:
        following = self._parts[0].records
        if self.dataset.cover is not None and self._epoch(following) != self._epoch(taken[0].records):
            return False
        return records + len(following) <= most and size + following.nbytes <= FLUSH_BYTES

    def _cut(self, records: pa.Table) -> list[pa.Table]:
        if self.dataset.cover is None:
            return [records]
        most = self.dataset.cover_records
        return [
            table.slice(begin, most)
            for table in by_epoch(records, self.dataset).values()
            for begin in range(0, len(table), most)
        ]

    def _epoch(self, records: pa.Table) -> int:
        starts, _ = spans(records.slice(0, 1), self.dataset)
        return int(self.dataset.epochs(starts)[0])


def by_epoch(records: pa.Table, dataset: Dataset) -> dict[int, pa.Table]:
    """The records of each epoch, in ascending order of epochs."""
    epochs = dataset.epochs(spans(records, dataset)[0])
    distinct = np.unique(epochs).tolist()
    if len(distinct) == 1:
        return {distinct[0]: records}
    return {epoch: records.filter(pa.array(epochs == epoch)) for epoch in distinct}
