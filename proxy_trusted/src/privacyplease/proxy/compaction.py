"""Compaction: cells of open buckets and of runs become new runs, by *copy, switch, collect*.

New runs are written beside what they replace, under tags of their own; one transaction of the trusted store puts them
in its place; what they replace is removed when no question can still need it. The design page has the reasons, and what
each crash leaves behind.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update

from privacyplease.proxy import holdings, rollups, runs, tiers
from privacyplease.proxy.cells import Opener, Sealer
from privacyplease.proxy.edge.drain import Turnstile
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.holdings import Held, Holdings, OpenBucket, Place, Run
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import ROLLUP, Layouts
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.tables import longest, spans
from privacyplease.proxy.records.timeline import EARLIEST, GENERATION, LATEST, Interval
from privacyplease.proxy.runs import Pages, Stretch
from privacyplease.proxy.sealing import Owner
from privacyplease.proxy.tags import ROLLUP_LEVEL, RUN_LEVEL, TAG_BYTES, tags
from privacyplease.proxy.tiers import Job
from privacyplease.proxy.trusted_store.store import claims, writing
from privacyplease.proxy.verified import Taken, VerifiedStorage

# Longer than a job takes, or a question may; renewed by every job.
CLAIMED_MS = 10 * 60_000

_EVER = Interval(EARLIEST, LATEST)

_log = logging.getLogger(__name__)


class Done(NamedTuple):
    """What one job came to: cells that were read and need not be any more, cells and runs that were written."""

    dataset: str
    index_name: str
    epoch: int
    merged_cells: int
    written_cells: int


class Claim(NamedTuple):
    """The right to compact an index of an epoch, for as long as the token is in the trusted store."""

    owner: Owner
    token: str


class Scope(NamedTuple):
    """What to compact.

    Attributes:
        interval: Buckets that overlap it, of starts.
        waits: Whether to leave what has not been quiet for long enough.
        open_too: Whether to take buckets that have not closed.
    """

    interval: Interval = _EVER
    waits: bool = True
    open_too: bool = False


class _OvertakenError(Exception):
    """Another compactor took over what this one had claimed, and does its work."""


class Compaction:
    """Compacts data sets. Safe to use from many threads, and from several proxies over one store.

    Attributes:
        jobs: Whoever takes cells or keys away waits here for the jobs that use them.
    """

    def __init__(
        self,
        store: Engine,
        storage: VerifiedStorage,
        ledger: Ledger,
        keyring: Keyring,
        layouts: Layouts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._holdings = Holdings(store)
        self._storage = storage
        self._ledger = ledger
        self._keyring = keyring
        self._layouts = layouts
        self._clock = clock
        self.jobs = Turnstile()

    def compact(self, dataset: Dataset, scope: Scope) -> Iterator[Done]:
        """Does what there is to do, job by job. What others are compacting is left to them.

        Raises:
            UntrustedAnswerError: What the server returned is not what was stored.
            StorageError: The server did not answer.
        """
        for index in dataset.indexes.values():
            with self._store.connect() as connection:
                epochs = holdings.epochs(connection, dataset.name, index.name)
            for epoch in filter(lambda number: self._is_current(dataset, number), epochs):
                with self.jobs.passing(), self._claimed(Owner(dataset.name, epoch, index.name)) as claim:
                    if claim:
                        try:
                            yield from self._compact_epoch(dataset, index, claim, scope)
                        except UntrustedAnswerError as error:
                            self._storage.answers.refuse(error)
                            raise
                        except _OvertakenError:
                            _log.warning("another compactor took over an epoch of data set %s", dataset.name)

    def collect(self, dataset: Dataset) -> int:
        """Removes from the server what runs have taken the place of and no question can still need.

        Returns:
            How many cells.
        """
        return sum(
            self._storage.remove(entry)
            for epoch in self._keyring.epochs(dataset.name)
            for number in self._keyring.generations(dataset.name, epoch)
            for entry in self._ledger.retired(dataset.name, number)
        )

    def waiting(self) -> dict[str, tuple[int, int]]:
        """How many open buckets each data set has, and how many cells lie in them, at most."""
        with self._store.connect() as connection:
            return holdings.waiting(connection)

    def _is_current(self, dataset: Dataset, number: int) -> bool:
        """Whether the epoch's key is in use: what lies under an older one is about to be sealed again and erased."""
        return self._keyring.generations(dataset.name, number % GENERATION)[-1:] == [number]

    def _compact_epoch(self, dataset: Dataset, index: Index, claim: Claim, scope: Scope) -> Iterator[Done]:
        self._clear_away(index, claim)
        held = self._held(dataset, index, claim.owner.epoch)
        chosen = [bucket for bucket in held.buckets if self._chosen(bucket, dataset, scope)]
        for job in tiers.fills(chosen, held.runs, dataset.timeline, self._now()):
            yield self._do(job, dataset, index, claim)
        before = None
        while (live := self._held(dataset, index, claim.owner.epoch).runs) and len(live) != before:
            before = len(live)
            for job in tiers.merges(live, dataset.timeline, self._now()):
                yield self._do(job, dataset, index, claim)

    def _chosen(self, bucket: OpenBucket, dataset: Dataset, scope: Scope) -> bool:
        starts = dataset.timeline.covered(bucket.epoch, *bucket.bucket)
        if starts.start > scope.interval.end or starts.end < scope.interval.start:
            return False
        if scope.waits:
            return tiers.due(bucket, dataset.timeline, self._now())
        return scope.open_too or tiers.closed(bucket, dataset.timeline, self._now())

    def _do(self, job: Job, dataset: Dataset, index: Index, claim: Claim) -> Done:
        """Copies and switches."""
        held = self._still(job, dataset, index, claim)
        asked = predicate(dataset, index, held.places + held.rollups, None, self._keyring, most_tags=1 << 31)
        taken = self._storage.take(asked, dataset.name, index.name, held)
        keys = self._keyring.keys(*claim.owner)
        layout = self._layouts.complete(dataset, index)
        sealer = Sealer(keys.cell, layout, dataset.name, index.name, runs.COMPRESSION_LEVEL)
        bins = self._open(taken, held, layout.schema, dataset, index, claim)
        stretches = list(runs.cut(bins, dataset, job.narrower, sealer)) if any(map(len, bins)) else []
        pages = [runs.paginate(stretch, sealer, hide_volume=index.hide_volume) for stretch in stretches]
        summaries = [self._rolled_up(*of, dataset, index, claim) for of in zip(stretches, pages, strict=True)]
        numbers = self._plan(stretches, pages, summaries, dataset, claim)
        cells = [
            cell
            for number, *each in zip(numbers, pages, summaries, strict=True)
            for level, of in zip((RUN_LEVEL, ROLLUP_LEVEL), each, strict=True)
            if of
            for cell in runs.seal(
                of, self._tags(Place(claim.owner.epoch, level, number), index, claim), sealer, claim.owner
            )
        ]
        self._storage.append_if(cells, lambda connection: _renew(connection, claim, self._now())).wait()
        self._switch(held, taken, numbers, dataset, index, claim)
        return Done(dataset.name, index.name, claim.owner.epoch, len(taken.cells), len(cells))

    def _rolled_up(self, stretch: Stretch, pages: Pages, dataset: Dataset, index: Index, claim: Claim) -> Pages | None:
        """The pages of a run's roll-up, if it is to have one."""
        if not rollups.serves(index, dataset) or pages.size < rollups.LEAST_RUN_BYTES:
            return None
        sealer = Sealer(self._keyring.keys(*claim.owner).cell, ROLLUP, dataset.name, index.name)
        summary = rollups.rolled_up(stretch, dataset, rollups.key_of(dataset, self._keyring))
        made = runs.paginate(summary, sealer, hide_volume=index.hide_volume)
        return made if 2 * made.size <= pages.size else None

    def _still(self, job: Job, dataset: Dataset, index: Index, claim: Claim) -> Held:
        """The job's buckets and runs as they are now."""
        held = self._held(dataset, index, claim.owner.epoch)
        buckets, numbers = {bucket.bucket for bucket in job.buckets}, {run.number for run in job.runs}
        return held._replace(
            buckets=[bucket for bucket in held.buckets if bucket.bucket in buckets],
            runs=[run for run in held.runs if run.number in numbers],
        )

    def _held(self, dataset: Dataset, index: Index, epoch: int) -> Held:
        held = self._holdings.all(dataset.name, index.name, dataset.timeline)
        return held._replace(
            buckets=[bucket for bucket in held.buckets if bucket.epoch == epoch],
            runs=[run for run in held.runs if run.epoch == epoch],
        )

    def _open(
        self, taken: Taken, held: Held, schema: pa.Schema, dataset: Dataset, index: Index, claim: Claim
    ) -> list[pa.Table]:
        """The records of each bin, each once, in its longest form."""
        opener = Opener(self._keyring.keys(*claim.owner).cell, self._layouts, dataset.name, index.name, schema)
        bin_of = self._bins(held, index, claim)
        opened: list[list[pa.RecordBatch]] = [[] for _ in range(index.bins)]
        for cell in taken.cells:
            if cell.tag in bin_of:  # no roll-up
                opened[bin_of[cell.tag]].append(opener.open(cell.sealed, cell.tag, cell.cell_id))
        return [longest(pa.Table.from_batches(batches, schema).combine_chunks(), dataset) for batches in opened]

    def _bins(self, held: Held, index: Index, claim: Claim) -> dict[bytes, int]:
        """The bin of each tag."""
        return {tag: number for place in held.places for number, tag in enumerate(self._tags(place, index, claim))}

    def _tags(self, place: Place, index: Index, claim: Claim) -> list[bytes]:
        """The tags of a place, one for each bin, in order."""
        key, bins = self._keyring.keys(*claim.owner).tag, np.arange(index.bins)
        names = tags(key, np.full_like(bins, place.level), np.full_like(bins, place.number), bins).tobytes()
        return [names[at : at + TAG_BYTES] for at in range(0, len(names), TAG_BYTES)]

    def _plan(
        self,
        stretches: list[Stretch],
        pages: list[Pages],
        summaries: list[Pages | None],
        dataset: Dataset,
        claim: Claim,
    ) -> list[int]:
        """Makes the new runs durable, so that whatever is cut short is known."""
        planned = [_described(*of, dataset, claim) for of in zip(stretches, pages, summaries, strict=True)]
        with writing(self._store) as connection:
            _renew(connection, claim, self._now())
            return [holdings.plan_run(connection, claim.owner.dataset, claim.owner.index_name, run) for run in planned]

    def _switch(
        self, held: Held, taken: Taken, numbers: Sequence[int], dataset: Dataset, index: Index, claim: Claim
    ) -> None:
        """From here on questions find the new runs, and what they were made of only if they have begun before."""
        settled = [
            bucket for bucket in held.buckets if taken.on_their_way.isdisjoint(self._tags(bucket.place, index, claim))
        ]
        octets = b"".join(cell.tag + cell.cell_id for cell in taken.cells)
        names = np.frombuffer(octets, np.uint8).reshape(-1, 2 * TAG_BYTES)
        self._ledger.fold()
        with writing(self._store) as connection:
            _renew(connection, claim, self._now())
            holdings.close(connection, dataset.name, index.name, settled)
            if not holdings.switch(connection, [run.number for run in held.runs], numbers):
                raise _OvertakenError
            self._ledger.retire(connection, claim.owner, names)

    def _clear_away(self, index: Index, claim: Claim) -> None:
        """Removes what compactors left behind that were cut short."""
        with self._store.connect() as connection:
            left = holdings.unfinished(connection, claim.owner.dataset, claim.owner.index_name, claim.owner.epoch)
        for number in left:
            places = (Place(claim.owner.epoch, level, number) for level in (RUN_LEVEL, ROLLUP_LEVEL))
            names = [tag for place in places for tag in self._tags(place, index, claim)]
            if self._storage.settle(names):
                self._storage.erase(names)
                with writing(self._store) as connection:
                    holdings.drop_run(connection, number)

    @contextmanager
    def _claimed(self, owner: Owner) -> Iterator[Claim | None]:
        """Claims an index of an epoch, unless somebody else has."""
        claim = Claim(owner, secrets.token_hex(16))
        with writing(self._store) as connection:
            got = _claim(connection, claim, self._now())
        try:
            yield claim if got else None
        finally:
            if got:
                with writing(self._store) as connection:
                    connection.execute(delete(claims).where(*_whose(owner), claims.c.token == claim.token))

    def _now(self) -> int:
        return int(self._clock() * 1_000)


def _described(stretch: Stretch, pages: Pages, summary: Pages | None, dataset: Dataset, claim: Claim) -> Run:
    spanned = [spans(table, dataset) for table in stretch.bins]
    starts, ends = (np.concatenate(of) for of in zip(*spanned, strict=True))
    run = Run.of(starts, ends, number=0, epoch=claim.owner.epoch, size=pages.size)
    return run._replace(rolled_up=summary is not None)


def _claim(connection: Connection, claim: Claim, now: int) -> bool:
    """Writes a claim unless there is one that has not expired."""
    # Whoever had one that has expired will not find its token.
    connection.execute(delete(claims).where(*_whose(claim.owner), claims.c.expires_at_ms < now))
    row = claim.owner._asdict() | {"token": claim.token, "expires_at_ms": now + CLAIMED_MS}
    if connection.scalar(select(claims.c.token).where(*_whose(claim.owner))) is not None:
        return False
    connection.execute(insert(claims), row)
    return True


def _renew(connection: Connection, claim: Claim, now: int) -> None:
    """Renews a claim; an error, and the transaction is rolled back, if somebody has taken it over."""
    mine = (*_whose(claim.owner), claims.c.token == claim.token)
    if connection.execute(update(claims).where(*mine).values(expires_at_ms=now + CLAIMED_MS)).rowcount != 1:
        raise _OvertakenError


def _whose(owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return claims.c.dataset == owner.dataset, claims.c.index_name == owner.index_name, claims.c.epoch == owner.epoch
