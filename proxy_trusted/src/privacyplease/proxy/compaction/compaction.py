"""Compaction: a data set's segments become few, by *copy, switch, collect*.

`plan.py` says what is merged with what, `rewriting.py` does it, and `collection.py` deletes what was replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Engine

from privacyplease.proxy import allocator
from privacyplease.proxy.compaction.claims import Claim, Claims, OvertakenError
from privacyplease.proxy.compaction.collection import Collection
from privacyplease.proxy.compaction.plan import JOB_FULL, Circumstances, Job, batches, full_records, plan
from privacyplease.proxy.compaction.rewriting import Rewriting, Rewritten
from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import StaleError
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments.memory import Memory
from privacyplease.proxy.storage.client import Storage

# How often whoever waits for a claim looks whether it is free, in seconds.
_POLL_SECONDS = 0.1


class Done(NamedTuple):
    """What one job came to.

    Attributes:
        dataset: The data set.
        epoch: The epoch.
        merged_cells: Cells that need not be read any more.
        written_cells: Cells that took their place.
        records: Records in these.
    """

    dataset: str
    epoch: int
    merged_cells: int
    written_cells: int
    records: int


class Scope(NamedTuple):
    """What to compact.

    Attributes:
        by_command: Whether somebody wants all that there is to gain, and not only what is due.
        recent: Whether that extends to what came in the last minutes.
        interval: Jobs that touch no segment which can hold a record of this time are left.
    """

    by_command: bool = False
    recent: bool = True
    interval: Interval = EVER


class Backlog(NamedTuple):
    """What is yet to be compacted: fresh segments, and the records in them."""

    segments: int
    records: int


class Compaction:
    """Compacts data sets. Safe to use from many threads, and from several proxies over one store.

    Attributes:
        jobs: Whoever takes cells or keys away waits here for the jobs that use them.
    """

    def __init__(
        self,
        store: Engine,
        manifest: Manifest,
        keyring: Keyring,
        storage: Storage,
        cells: Cells,
        memory: Memory,
        needed_after: Callable[[], int | None] = lambda: None,
        clock: Callable[[], float] = time.time,
        require_current: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes the parts.

        Args:
            store: The trusted store, which has the claims.
            manifest: The manifest.
            keyring: The keys.
            storage: The storage server.
            cells: Fetches cells and holds the server to them.
            memory: Forgets what was replaced.
            needed_after: Which retired segments backups need (`Collection`).
            clock: Tells the time in seconds since 1970.
            require_current: Passes if the manifest is the newest (`Currency.require`). An older one has rows of
                segments that are not what they were, and gives numbers again.
        """
        self.jobs = Drain()
        self._require_current = require_current
        self._manifest = manifest
        self._keyring = keyring
        self._claims = Claims(store, clock)
        self._rewriting = Rewriting(manifest, keyring, storage, cells, memory)
        self._collection = Collection(manifest, storage, cells, needed_after, clock)
        self._clock = clock

    def compact(self, dataset: Dataset, scope: Scope = Scope()) -> Iterator[Done]:  # noqa: B008  # it never changes
        """Does what there is to do, job by job. What others are compacting is left to them.

        Raises:
            RolledBackError: The trusted store is older than somebody knows it.
            UntrustedAnswerError: What the server returned is not what was stored. The other jobs were done before.
            StorageError: The server did not answer.
        """
        self._require_current()
        refused: list[UntrustedAnswerError] = []
        for epoch in self._epochs(dataset):
            if not (self._left_over(dataset, epoch) or self._plan(dataset, epoch, scope)):
                continue
            with self._claims.claimed(dataset.name, epoch) as claim:
                if claim:
                    with self.jobs.passing():
                        self._collection.clear_away(dataset.name, epoch)
                    yield from self._compact_epoch(dataset, claim, scope, refused)
        if refused:
            raise refused[0]

    def rewrite(self, dataset: Dataset, rows: Sequence[Row], key: KeyId) -> int:
        """Rewrites live segments of one epoch under a key, as when it is renewed. Waits for who compacts the epoch.

        Returns:
            How many records were written.

        Raises:
            RolledBackError: As `compact`.
            StaleError: A segment is not live any more. Those that were rewritten before are.
            OvertakenError: It took so long that somebody else took over; likewise.
            UntrustedAnswerError: What the server returned is not what was stored; likewise.
            StorageError: The server did not answer; likewise.
        """
        self._require_current()
        while True:
            with self._claims.claimed(dataset.name, key.epoch) as claim:
                if claim:
                    with self.jobs.passing():
                        self._collection.clear_away(dataset.name, key.epoch)
                        jobs = batches(rows, JOB_FULL * full_records(dataset))
                        return sum(self._rewrite(job, dataset, key, claim).records for job in jobs)
            time.sleep(_POLL_SECONDS)

    def collect(self, dataset: Dataset) -> int:
        """Deletes what was replaced and neither a question nor a backup can need any more.

        Returns:
            How many cells.

        Raises:
            RolledBackError: As `compact`.
            StorageError: The server did not answer.
        """
        self._require_current()
        return self._collection.collect(dataset.name)

    def backlog(self, dataset: Dataset) -> Backlog:
        """How many fresh segments a data set has, and how many records."""
        fresh = [row for row in self._manifest.rows(dataset.name, State.LIVE) if not row.settled]
        return Backlog(len(fresh), sum(row.summary.records for row in fresh))

    def _compact_epoch(
        self, dataset: Dataset, claim: Claim, scope: Scope, refused: list[UntrustedAnswerError]
    ) -> Iterator[Done]:
        """Does the jobs of an epoch; by command, until there are none."""
        before = len(refused)
        while jobs := self._plan(dataset, claim.epoch, scope):
            for job in jobs:
                try:
                    if done := self._do(job, dataset, claim):
                        yield done
                except UntrustedAnswerError as error:
                    refused.append(error)
                except OvertakenError:
                    return
            if not scope.by_command or len(refused) > before:
                return

    def _do(self, job: Job, dataset: Dataset, claim: Claim) -> Done | None:
        """Does a job; None if some of its segments are gone meanwhile."""
        with self.jobs.passing():
            live = {row.number for row in self._current(dataset, claim.epoch)}
            if not live.issuperset(row.number for row in job):
                return None
            key = self._keyring.generations(dataset.name, claim.epoch)[-1]
            try:
                rewritten = self._rewrite(job, dataset, key, claim)
            except StaleError:
                return None
        return _done(rewritten, dataset, claim)

    def _rewrite(self, job: Job, dataset: Dataset, key: KeyId, claim: Claim) -> Rewritten:
        """Rewrites, in memory that others have freed, and gives it back."""
        allocator.trim()
        try:
            return self._rewriting.rewrite(job, dataset, key, self._claims.renewing(claim))
        finally:
            allocator.trim()

    def _plan(self, dataset: Dataset, epoch: int, scope: Scope) -> list[Job]:
        given = Circumstances.of(
            dataset, epoch, int(self._clock() * 1_000), by_command=scope.by_command, recent=scope.recent
        )
        start, end = scope.interval
        return [
            job
            for job in plan(self._current(dataset, epoch), given)
            if any(row.summary.first <= end and row.summary.reach >= start for row in job)
        ]

    def _epochs(self, dataset: Dataset) -> list[int]:
        """The epochs that have segments, ascending."""
        return sorted({row.key.epoch for row in self._manifest.rows(dataset.name) if row.state is not State.RETIRED})

    def _current(self, dataset: Dataset, epoch: int) -> list[Row]:
        """The live segments under an epoch's newest key: what lies under an older one is about to be rewritten."""
        newest = self._keyring.generations(dataset.name, epoch)[-1:]
        return [row for row in self._manifest.rows(dataset.name, State.LIVE) if [row.key] == newest]

    def _left_over(self, dataset: Dataset, epoch: int) -> bool:
        rows = self._manifest.rows(dataset.name, State.SENT, State.STORED)
        return any(row.settled and row.key.epoch == epoch for row in rows)


def _done(rewritten: Rewritten, dataset: Dataset, claim: Claim) -> Done:
    merged, written = (sum(len(row.groups) for row in rows) for rows in (rewritten.replaced, rewritten.written))
    return Done(dataset.name, claim.epoch, merged, written, rewritten.records)
