"""Writing: batches are flushed together, and each is acknowledged once its segment is live.

The intent comes first. A flush makes one fresh segment per epoch:

1. its rows, with the digests of its cells, are durable in the manifest as SENT;
2. the cells go to the server in one call, if they fit, ascending by tag, which is a random order;
3. the rows become LIVE, durably;
4. the batches are acknowledged, and the segments' cores stay in the cell cache.

A crash before step 3 leaves rows that are SENT, which no client was told are stored (`lifecycle/flush_recovery.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from privacyplease.proxy.errors import ProxyError, StorageError, TrustedStoreUnavailableError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.manifest import Committed, Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.cell_cache import CachedCell, CellCache
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.segment import SealedSegment, SegmentSealer
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.trusted_store.disk_reserve import DISK_FULL
from privacyplease.proxy.write.buffer import FLUSH_BYTES, BatchPart, Buffer, Pending, by_epoch

# Measured on MariaDB 10.11 with its defaults: two callers append faster than one, and four slower than two.
FLUSHES_AT_ONCE = 2

# How many segment numbers are reserved at a time: each reservation is a write to the disk.
_NUMBERS_TOGETHER = 64

_log = logging.getLogger(__name__)


class Writer:
    """Flushes batches in threads of its own. Safe to use from many threads."""

    def __init__(
        self,
        manifest: Manifest,
        keyring: Keyring,
        storage: StorageClient,
        cache: CellCache,
        rollback_check: RollbackCheck,
        flush_seconds: float,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        """Starts the writer's thread.

        Args:
            manifest: The manifest.
            keyring: The keys.
            storage: The storage server.
            cache: Holds the cores of fresh segments.
            rollback_check: Passes if the manifest is the newest.
            flush_seconds: While batches come, flushes of a data set begin at least this far apart.
            is_full: Whether the trusted store's disk is full, so that nothing is flushed.
        """
        self._manifest = manifest
        self._keyring = keyring
        self._sealer = SegmentSealer(keyring)
        self._storage = storage
        self._cache = cache
        self._rollback_check = rollback_check
        self._flush_seconds = flush_seconds
        self._is_full = is_full
        self._buffers: dict[str, Buffer] = {}
        self._due: dict[str, float] = {}
        self._numbers: dict[str, list[SegmentId]] = {}
        self._running: set[Pending] = set()
        self._ended = False
        self._changed = threading.Condition()
        self._flushes = ThreadPoolExecutor(FLUSHES_AT_ONCE, thread_name_prefix="flush")
        threading.Thread(target=self._run, name="writer", daemon=True).start()

    def cover(self, datasets: Iterable[Dataset]) -> None:
        """Starts cover traffic: flushes at a fixed rate, with or without records, for the data sets that ask for it."""
        with self._changed:
            for dataset in datasets:
                if dataset.cover is not None:
                    self._buffers.setdefault(dataset.name, Buffer(dataset))
            self._changed.notify_all()

    def submit(self, records: pa.Table, dataset: Dataset) -> Pending:
        """Queues checked records to be stored.

        Returns:
            What to wait for. Until then, some of them may be stored.

        Raises:
            RolledBackError: The trusted store was rolled back.
            StorageError: The server cannot be asked whether it was.
        """
        self._rollback_check.require_newest()
        with self._changed:
            buffer = self._buffers.setdefault(dataset.name, Buffer(dataset))
            buffer.dataset = dataset
            pending = buffer.add(records)
            self._changed.notify_all()
        return pending

    def flush_soon(self, dataset: Dataset) -> None:
        """Flushes what waits as soon as possible, except under cover: the sender of a long stream waits for its end."""
        with self._changed:
            if dataset.cover is None:
                self._due.pop(dataset.name, None)
                self._changed.notify_all()

    def drain(self) -> None:
        """Returns when every batch that was submitted before is stored or has failed."""
        with self._changed:
            before = {part.pending for buffer in self._buffers.values() for part in buffer.waiting} | self._running
            self._changed.wait_for(lambda: all(pending.ended for pending in before))

    def stop(self) -> None:
        """Stops flushing."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._flushes.shutdown(wait=False)

    def _run(self) -> None:
        while (due := self._wait()) is not None:
            with self._changed:
                parts = due.take()
                self._due[due.dataset.name] = time.monotonic() + self._spacing(due.dataset)
                flush = Pending(1)
                self._running.add(flush)
            try:
                self._flushes.submit(self._flush, flush, due.dataset, parts)
            except (RuntimeError, MemoryError):  # there is no memory for its thread, or the writer is being stopped
                self._end(flush, parts, MemoryError("no thread for a flush"))

    def _wait(self) -> Buffer | None:
        """Waits for the next data set to become due; None once the writer is stopped."""
        with self._changed:
            while not self._ended:
                if len(self._running) < FLUSHES_AT_ONCE and (due := self._next()) is not None:
                    return due
                self._changed.wait(self._until_due())
        return None

    def _next(self) -> Buffer | None:
        """A data set that is due now."""
        now = time.monotonic()
        for buffer in self._buffers.values():
            due = now >= self._due.get(buffer.dataset.name, 0.0)
            if buffer.dataset.cover is None and (buffer.full or (len(buffer) and due)):
                return buffer
            if buffer.dataset.cover is not None and due:
                return buffer
        return None

    def _until_due(self) -> float | None:
        """Seconds until a data set becomes due; None if none will unless something changes."""
        if len(self._running) >= FLUSHES_AT_ONCE:
            return None
        waiting = (buffer for buffer in self._buffers.values() if len(buffer) or buffer.dataset.cover is not None)
        times = [self._due.get(buffer.dataset.name, 0.0) for buffer in waiting]
        return max(min(times) - time.monotonic(), 0.0) if times else None

    def _spacing(self, dataset: Dataset) -> float:
        return self._flush_seconds if dataset.cover is None else dataset.cover / 1_000

    def _flush(self, flush: Pending, dataset: Dataset, parts: Sequence[BatchPart]) -> None:
        error: BaseException | None = None
        try:
            if parts or dataset.cover is not None:
                self._write(dataset, [part.records for part in parts])
        except BaseException as raised:  # raised again in `Pending.wait`
            error = raised
            if not isinstance(raised, ProxyError):
                _log.error("a flush failed: %s", type(raised).__name__)
        finally:
            self._end(flush, parts, error)

    def _end(self, flush: Pending, parts: Sequence[BatchPart], error: BaseException | None) -> None:
        for part in parts:
            part.pending.settle(error)
        with self._changed:
            flush.settle(None)
            self._running.discard(flush)
            self._changed.notify_all()

    def _write(self, dataset: Dataset, tables: Sequence[pa.Table]) -> None:
        if self._is_full():
            raise TrustedStoreUnavailableError(DISK_FULL)
        records = pa.concat_tables(tables) if tables else dataset.schema.empty_table()
        try:
            sent, segments = self._intend(records, dataset)
        except StaleError:  # the remaining numbers were reserved too long ago
            with self._changed:
                self._numbers.pop(dataset.name, None)
            try:
                sent, segments = self._intend(records, dataset)
            except StaleError as error:  # another proxy is erasing a period of theirs, which this one learns of soon
                raise TrustedStoreUnavailableError("a period was erased meanwhile; send the records again") from error
        cells = [group.cell for segment in segments for group in segment.groups.values()]
        self._storage.append(sorted([*cells, *([sent.head] if sent.head else [])]))
        try:
            live = self._manifest.commit(Change(moved=moves(sent.rows, SegmentState.LIVE)))
        except StaleError as error:
            raise StorageError("storing a segment took too long and was given up; send the records again") from error
        self._keep(live, segments)
        self._drop_heads(sent)

    def _intend(self, records: pa.Table, dataset: Dataset) -> tuple[Committed, list[SealedSegment]]:
        """Seals records, and records in the manifest what is about to be sent."""
        epochs = by_epoch(records, dataset) if len(records) else {_today(dataset): records}
        sealed = [
            (row, segment)
            for epoch, table in epochs.items()
            for row, segment in self._sealed(table, dataset, self._keyring.ensure(dataset.name, epoch))
        ]
        sent = self._manifest.commit(Change(added=[row for row, _ in sealed]), announced=True)
        return sent, [segment for _, segment in sealed]

    def _sealed(self, records: pa.Table, dataset: Dataset, key: KeyId) -> Iterable[tuple[ManifestRow, SealedSegment]]:
        """The segments of the records of one epoch: one, unless it would grow too large."""
        if records.nbytes <= FLUSH_BYTES or len(records) <= 1:
            room = 0 if dataset.cover is None else dataset.cover_records
            segment = self._sealer.seal(records, dataset, key, self._number(dataset), settled=False, room=room)
            if not self._too_large(segment, dataset):
                yield ManifestRow.of(segment, dataset.name, key, settled=False), segment
                return
        half = len(records) // 2
        yield from self._sealed(records.slice(0, half), dataset, key)
        yield from self._sealed(records.slice(half), dataset, key)

    def _too_large(self, segment: SealedSegment, dataset: Dataset) -> bool:
        """Whether a cell is larger than the server accepts, and would not be if it had fewer records."""
        most = self._storage.limits().max_cell_bytes
        least = max(dataset.budgets[group.label].size(1) for group in segment.groups)
        return segment.summary.records > 1 and any(cell.size > most >= least for cell in segment.groups.values())

    def _number(self, dataset: Dataset) -> SegmentId:
        with self._changed:
            numbers = self._numbers.setdefault(dataset.name, [])
            if not numbers:
                numbers += self._manifest.numbers(dataset.name, _NUMBERS_TOGETHER)[::-1]
            return numbers.pop()

    def _keep(self, live: Committed, segments: Sequence[SealedSegment]) -> None:
        for row, segment in zip(live.rows, segments, strict=True):
            core = segment.groups[Group.CORE]
            if row.summary.records:
                self._cache.put(core.cell.tag, CachedCell((row.dataset, row.key), core.size, segment.core))

    def _drop_heads(self, sent: Committed) -> None:
        """Deletes heads that the server need not keep, if there are any. A failure only leaves some cells behind."""
        if sent.outdated:
            try:
                self._storage.delete(sent.outdated)
            except StorageError as error:
                _log.warning("old heads of the manifest were not deleted from the storage server: %s", error)


def _today(dataset: Dataset) -> int:
    return int(time.time() * 1_000) // dataset.epoch
