"""Compaction of a data set's segments by *copy, switch, collect*.

`plan.py` decides what is merged with what, `rewriting.py` does it, and `garbage_collection.py` deletes what was
replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from privacyplease.proxy import allocator
from privacyplease.proxy.clock import steady
from privacyplease.proxy.compaction.garbage_collection import GarbageCollector
from privacyplease.proxy.compaction.leases import Lease, Leases, OvertakenError
from privacyplease.proxy.compaction.plan import JOB_FULL, Job, PlanInputs, batches, full_records, plan
from privacyplease.proxy.compaction.rewriting import Rewriter, Rewritten
from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import StaleError
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.storage.client import StorageClient

# How often a waiting compactor checks whether the lease is free, in seconds.
_POLL_SECONDS = 0.1


class JobResult(NamedTuple):
    """The outcome of one job.

    Attributes:
        dataset: The data set.
        epoch: The epoch.
        merged_cells: How many cells were replaced.
        written_cells: How many cells replace them.
        records: How many records these hold.
    """

    dataset: str
    epoch: int
    merged_cells: int
    written_cells: int
    records: int


class Scope(NamedTuple):
    """What to compact.

    Attributes:
        by_command: Whether to do everything that gains something, and not only what is due.
        recent: Whether that includes what came in the last minutes.
        interval: Jobs are skipped if none of their segments can hold a record of this time.
    """

    by_command: bool = False
    recent: bool = True
    interval: Interval = EVER


class Backlog(NamedTuple):
    """What is still to be compacted: how many fresh segments, with how many records."""

    segments: int
    records: int


class Compactor:
    """Compacts data sets. Safe to use from many threads, and from several proxies over one store.

    Attributes:
        jobs: What deletes cells or keys waits here for the jobs that use them.
    """

    def __init__(
        self,
        store: Engine,
        manifest: Manifest,
        keyring: Keyring,
        storage: StorageClient,
        cells: Cells,
        cache: CellCache,
        needed_after: Callable[[], int | None] = lambda: None,
        clock: Callable[[], float] = steady,
        require_newest: Callable[[], None] = lambda: None,
    ) -> None:
        """Initialises the compactor.

        Args:
            store: The trusted store, which has the leases.
            manifest: The manifest.
            keyring: The keys.
            storage: The storage server.
            cells: Fetches and verifies cells.
            cache: Drops the cells that were replaced.
            needed_after: Which retired segments backups need (`GarbageCollector`).
            clock: Returns the time in seconds since 1970.
            require_newest: Passes if the manifest is the newest (`RollbackCheck.require_newest`). An older one has
                outdated rows of segments, and would assign numbers again.
        """
        self.jobs = Drain()
        self._require_newest = require_newest
        self._manifest = manifest
        self._keyring = keyring
        self._leases = Leases(store, clock)
        self._rewriter = Rewriter(manifest, keyring, storage, cells, cache)
        self._collector = GarbageCollector(manifest, storage, cells, needed_after, clock)
        self._clock = clock

    def compact(self, dataset: Dataset, scope: Scope = Scope()) -> Iterator[JobResult]:  # noqa: B008  # it never changes
        """Does the jobs that there are, and yields the result of each. It skips epochs that others are compacting.

        Raises:
            RolledBackError: The trusted store was rolled back.
            UntrustedAnswerError: What the server returned is not what was stored. All other jobs were done before.
            StorageError: The server did not answer.
        """
        self._require_newest()
        refused: list[UntrustedAnswerError] = []
        for epoch in self._epochs(dataset):
            if not (self._has_leftovers(dataset, epoch) or self._plan(dataset, epoch, scope)):
                continue
            with self._leases.lease(dataset.name, epoch) as lease:
                if lease:
                    with self.jobs.passing():
                        self._collector.delete_leftovers(dataset.name, epoch)
                    yield from self._compact_epoch(dataset, lease, scope, refused)
        if refused:
            raise refused[0]

    def rewrite(self, dataset: Dataset, rows: Sequence[ManifestRow], key: KeyId) -> int:
        """Rewrites live segments of one epoch under a key, as for a renewal. It waits for the epoch's lease.

        Returns:
            How many records were written.

        Raises:
            RolledBackError: As `compact`.
            StaleError: A segment is no longer live. Those before it are rewritten all the same.
            OvertakenError: It took so long that another compactor took over; likewise.
            UntrustedAnswerError: What the server returned is not what was stored; likewise.
            StorageError: The server did not answer; likewise.
        """
        self._require_newest()
        while True:
            with self._leases.lease(dataset.name, key.epoch) as lease:
                if lease:
                    with self.jobs.passing():
                        self._collector.delete_leftovers(dataset.name, key.epoch)
                        jobs = batches(rows, JOB_FULL * full_records(dataset))
                        return sum(self._rewrite(job, dataset, key, lease).records for job in jobs)
            time.sleep(_POLL_SECONDS)

    def collect(self, dataset: Dataset) -> int:
        """Deletes replaced segments that neither a question nor a backup can need any more.

        Returns:
            How many cells they had.

        Raises:
            RolledBackError: As `compact`.
            StorageError: The server did not answer.
        """
        self._require_newest()
        return self._collector.collect(dataset.name)

    def backlog(self, dataset: Dataset) -> Backlog:
        """How many fresh segments a data set has, and how many records."""
        fresh = [row for row in self._manifest.rows(dataset.name, SegmentState.LIVE) if not row.settled]
        return Backlog(len(fresh), sum(row.summary.records for row in fresh))

    def _compact_epoch(
        self, dataset: Dataset, lease: Lease, scope: Scope, refused: list[UntrustedAnswerError]
    ) -> Iterator[JobResult]:
        """Does the jobs of an epoch; by command, until there are none left."""
        before = len(refused)
        while jobs := self._plan(dataset, lease.epoch, scope):
            for job in jobs:
                try:
                    if done := self._do(job, dataset, lease):
                        yield done
                except UntrustedAnswerError as error:
                    refused.append(error)
                except OvertakenError:
                    return
            if not scope.by_command or len(refused) > before:
                return

    def _do(self, job: Job, dataset: Dataset, lease: Lease) -> JobResult | None:
        """Does a job; None if some of its segments were retired meanwhile."""
        with self.jobs.passing():
            live = {row.number for row in self._current(dataset, lease.epoch)}
            if not live.issuperset(row.number for row in job):
                return None
            key = self._keyring.generations(dataset.name, lease.epoch)[-1]
            try:
                rewritten = self._rewrite(job, dataset, key, lease)
            except StaleError:
                return None
        return _done(rewritten, dataset, lease)

    def _rewrite(self, job: Job, dataset: Dataset, key: KeyId, lease: Lease) -> Rewritten:
        """Rewrites a job's segments; freed memory is returned to the system before and after."""
        allocator.trim()
        try:
            return self._rewriter.rewrite(job, dataset, key, self._leases.renewing(lease))
        finally:
            allocator.trim()

    def _plan(self, dataset: Dataset, epoch: int, scope: Scope) -> list[Job]:
        inputs = PlanInputs.of(
            dataset, epoch, int(self._clock() * 1_000), by_command=scope.by_command, recent=scope.recent
        )
        start, end = scope.interval
        return [
            job
            for job in plan(self._current(dataset, epoch), inputs)
            if any(row.summary.first <= end and row.summary.reach >= start for row in job)
        ]

    def _epochs(self, dataset: Dataset) -> list[int]:
        """The epochs that have segments, ascending."""
        return sorted(
            {row.key.epoch for row in self._manifest.rows(dataset.name) if row.state is not SegmentState.RETIRED}
        )

    def _current(self, dataset: Dataset, epoch: int) -> list[ManifestRow]:
        """The live segments under an epoch's newest key; those under an older one are about to be rewritten."""
        newest = self._keyring.generations(dataset.name, epoch)[-1:]
        return [row for row in self._manifest.rows(dataset.name, SegmentState.LIVE) if [row.key] == newest]

    def _has_leftovers(self, dataset: Dataset, epoch: int) -> bool:
        rows = self._manifest.rows(dataset.name, SegmentState.SENT, SegmentState.STORED)
        return any(row.settled and row.key.epoch == epoch for row in rows)


def _done(rewritten: Rewritten, dataset: Dataset, lease: Lease) -> JobResult:
    merged, written = (sum(len(row.groups) for row in rows) for rows in (rewritten.replaced, rewritten.written))
    return JobResult(dataset.name, lease.epoch, merged, written, rewritten.records)
