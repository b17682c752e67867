"""Adopting: what to make of cells that a restored trusted store does not know, because they came after the backup.

A restored ledger is right about the past and knows nothing of what came later. So every place in which later cells can
lie is asked for, once, before the proxy serves: every bucket of every period that has a key, and runs with numbers that
were not given out yet. Cells that the ledger does not know are taken into it if they open: nobody but the proxy can
have sealed them. Those that it knows must be there, for compaction leaves what a backup knows (`backups.py`).

Under a tag with later cells the ledger's set hash says whether the earlier ones are among what came, but not which
those are. Cell ids say when each cell was sealed, which nearly tells; the rest is found by trying (`known_among`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, Engine

from privacyplease.proxy import backups, holdings, journal, sethash
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.cell_ids import CELL_ID_LABEL, sealed_at
from privacyplease.proxy.cells import Opener
from privacyplease.proxy.erasures import Erasures
from privacyplease.proxy.errors import (
    CellDamagedError,
    ConfigurationError,
    KeyUnavailableError,
    StorageError,
    UntrustedAnswerError,
)
from privacyplease.proxy.holdings import Place, Run
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.prf import BLOCK
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.ledger import Asked, Ledger
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.records.timeline import GENERATION, Timeline
from privacyplease.proxy.sealing import Bucket, Cell, Owner
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.tags import RUN_LEVEL, TAG_BYTES, tags
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.storage.v1 import storage_service_pb2 as pb

# How many tags are asked for at a time.
PART_TAGS = 1_024
# As many numbers in a row without a cell, and there are no later runs: a month has some hundred.
RUNS_AT_ONCE = 1_024
# As many cells of a tag on either side of the backup may have been sealed in another order than they were sent in.
OUT_OF_ORDER = 12

_CELLS_AT_ONCE = 8_192

_log = logging.getLogger(__name__)


class Adopted(NamedTuple):
    """What came of it.

    Attributes:
        cells: Cells that came after the backup and are in the ledger now.
        missing: Tags under which cells are missing that the backup knows. Questions that touch them fail.
        unreadable: Cells there that do not open, or not with what the backup has. Such questions fail, too.
    """

    cells: int
    missing: int
    unreadable: int


def adopt(home: Home, adopting: Adopting, log: AuditLog) -> None:
    """Finishes a restore: adopts, records that, and leaves what it came to in the home.

    Raises:
        ConfigurationError: It cannot be done now. Start the proxy again.
        KeyringError: A key does not open.
    """
    _log.info("restored from a backup: asking the storage server what came after it")
    try:
        adopted = adopting.adopt()
    except (StorageError, UntrustedAnswerError) as error:
        raise ConfigurationError(f"{home.restored}: what came after the backup cannot be asked for: {error}") from error
    log.record({"event": "restored"})
    _log.warning("restored from a backup: %s", adopted)
    made_at = json.loads(home.restored.read_text())["made_at"]
    since, now = (int(of.timestamp() * 1_000) for of in (datetime.fromisoformat(made_at), datetime.now(UTC)))
    found = {"made_at": made_at, **adopted._asdict(), "keyless": adopting.keyless(since, now)}
    home.adopted.write_text(json.dumps(found) + "\n")
    home.restored.unlink()


class Adopting:
    """Adopts, while no proxy serves over the trusted store."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        store: Engine,
        keyring: Keyring,
        layouts: Layouts,
        storage: Storage,
        ledger: Ledger,
    ) -> None:
        self._datasets = datasets
        self._store = store
        self._keyring = keyring
        self._layouts = layouts
        self._storage = storage
        self._ledger = ledger
        self._erasures = Erasures(store)
        self._unreadable = 0

    def adopt(self) -> Adopted:
        """Adopts what there is. What is cut short is done by doing it again.

        Raises:
            StorageError: The server did not answer.
            UntrustedAnswerError: Its answer was none: cells that were not asked for, or out of order.
            KeyringError: A key does not open.
        """
        self._ledger.fold()
        with writing(self._store) as connection:
            backup = backups.last(connection)
            first = backup.run if backup else holdings.unused_run(connection)
        parts = [part for place in self._indexes() for part in self._buckets(*place)]
        parts += self._runs(first)
        with writing(self._store) as connection:
            holdings.skip_runs(connection)  # no number is given twice that the server may have cells of
            if backup:
                backups.done(connection, backup.number)
        cells, missing = (sum(of) for of in zip(*parts, strict=True)) if parts else (0, 0)
        return Adopted(cells, missing, self._unreadable)

    def keyless(self, since: int, now: int) -> list[dict[str, str]]:
        """Periods that had begun by `now`, ended after `since` (ms both), and have no key, of data sets that have any.

        If a key was made for one of them after the backup, what was stored under it is lost.
        """
        return [
            {"dataset": dataset.name, "start": _instant(epoch * width), "end": _instant((epoch + 1) * width)}
            for dataset in self._datasets.values()
            if (keyed := self._keyring.epochs(dataset.name))
            for width in (dataset.timeline.epoch,)
            for epoch in range(since // width, now // width + 1)
            if epoch not in keyed
        ]

    def _indexes(self) -> Iterator[tuple[Dataset, Index, int]]:
        """Every index with every key that opens it."""
        for dataset in self._datasets.values():
            for number in self._erasures.live(dataset.name):
                for index in dataset.indexes.values():
                    yield dataset, index, number

    def _buckets(self, dataset: Dataset, index: Index, number: int) -> Iterator[tuple[int, int]]:
        """Cells adopted, and tags with missing ones, of the open buckets under a key, part by part."""
        owner = Owner(dataset.name, number, index.name)
        places = _everywhere(dataset.timeline, number)
        size = max(1, PART_TAGS // index.bins)
        for begin in range(0, len(places), size):
            asked = self._tags(owner, index, places[begin : begin + size])
            later, missing = self._survey(dataset, index, owner, asked)
            self._take(later)
            yield len(later), missing

    def _runs(self, first: int) -> Iterator[tuple[int, int]]:
        """Likewise of runs that were made after the backup, for as long as there are any."""
        with self._store.connect() as connection:
            had = holdings.run_numbers(connection, first)
        while True:
            numbers = range(first, first := first + RUNS_AT_ONCE)
            new = [number for number in numbers if number not in had]
            found = [self._runs_of(*place, new) for place in self._indexes() if new]
            yield from found
            if len(new) == len(numbers) and not any(cells for cells, _ in found):
                return

    def _runs_of(self, dataset: Dataset, index: Index, number: int, numbers: Sequence[int]) -> tuple[int, int]:
        owner = Owner(dataset.name, number, index.name)
        asked = self._tags(owner, index, [Place(number, RUN_LEVEL, run) for run in numbers])
        later, missing = self._survey(dataset, index, owner, asked)
        place = {tag: asked[tag].number for tag in asked}
        for run, group in groupby(sorted(later, key=lambda cell: place[cell.tag]), key=lambda cell: place[cell.tag]):
            self._take_run(dataset, index, owner, run, list(group))
        return len(later), missing

    def _tags(self, owner: Owner, index: Index, places: Sequence[Place]) -> dict[bytes, Place]:
        """The tags of some places, one for each bin, and what each stands for."""
        _, levels, numbers = (np.repeat(column, index.bins) for column in np.array(places, np.int64).T)
        bins = np.tile(np.arange(index.bins), len(places))
        names = tags(self._keyring.keys(*owner).tag, levels, numbers, bins).tobytes()
        return {names[at * TAG_BYTES : (at + 1) * TAG_BYTES]: places[at // index.bins] for at in range(len(bins))}

    def _survey(
        self, dataset: Dataset, index: Index, owner: Owner, asked: Mapping[bytes, Place]
    ) -> tuple[list[Cell], int]:
        """The cells under some tags that came after the backup, and under how many tags earlier ones are missing."""
        names = np.sort(np.frombuffer(b"".join(asked), f"S{BLOCK}"))
        look = self._ledger.look(Asked(owner.dataset, owner.index_name, names, np.full(len(names), owner.epoch)))
        expected = dict(zip(names.view(f"V{BLOCK}").tolist(), look.expected, strict=True))
        on_their_way = {name.tobytes() for entry in (*look.sent, *look.retired) for name in journal.names(entry.cells)}
        keys, of_ids = self._keyring.keys(*owner), self._keyring.derived(owner.dataset, owner.epoch, CELL_ID_LABEL)
        opener = Opener(keys.cell, self._layouts, dataset.name, index.name, dataset.carried(index))
        later: list[Cell] = []
        missing = 0
        pages = self._storage.select(asked)
        for tag, group in groupby((cell for page in pages for cell in page), key=attrgetter("tag")):
            cells = [cell for cell in group if cell.tag + cell.cell_id not in on_their_way]
            ids = np.frombuffer(b"".join(cell.cell_id for cell in cells), np.uint8).reshape(-1, BLOCK)
            members = sethash.entries(keys.ledger, np.tile(np.frombuffer(tag, np.uint8), (len(ids), 1)), ids)
            known = known_among(members, sealed_at(of_ids, ids), expected.pop(tag))
            if known is None:
                missing += 1
                continue
            fresh = [cell for cell, earlier in zip(cells, known.tolist(), strict=True) if not earlier]
            later += self._genuine(fresh, opener, owner, asked[tag])
        return later, missing + sum(bool(row[0]) for row in expected.values())

    def _genuine(self, cells: Iterable[pb.Cell], opener: Opener, owner: Owner, place: Place) -> Iterator[Cell]:
        bucket = None if place.level == RUN_LEVEL else Bucket(place.level, place.number)
        for cell in cells:
            try:
                opener.open(cell.sealed, cell.tag, cell.cell_id)
                yield Cell(cell.tag, cell.cell_id, cell.sealed, owner, bucket)
            except (CellDamagedError, KeyUnavailableError):
                self._unreadable += 1

    def _take(self, cells: Sequence[Cell]) -> None:
        """Into the ledger, as if they had been appended just now."""
        for begin in range(0, len(cells), _CELLS_AT_ONCE):
            self._ledger.stored(self._ledger.sent(cells[begin : begin + _CELLS_AT_ONCE]))

    def _take_run(self, dataset: Dataset, index: Index, owner: Owner, number: int, cells: Sequence[Cell]) -> None:
        """Also a run that is not whole: its records are stored elsewhere, too, and twice changes no answer."""
        opener = Opener(
            self._keyring.keys(*owner).cell, self._layouts, dataset.name, index.name, dataset.carried(index)
        )
        batches = [opener.open(cell.sealed, cell.tag, cell.cell_id) for cell in cells]
        sizes = [sum(len(cell.sealed) for cell in of) for _, of in groupby(cells, key=attrgetter("tag"))]
        run = _described(pa.Table.from_batches(batches), dataset, number, owner.epoch, max(sizes))

        def note(connection: Connection) -> None:
            holdings.fill(connection, dataset.name, index.name, [], [run])

        self._ledger.stored(self._ledger.sent_if(cells, note))


def known_among(members: Numbers, sealed: npt.NDArray[np.int64], expected: Numbers) -> npt.NDArray[np.bool_] | None:
    """Which cells under a tag are those that the ledger knows; None if these are not all among them.

    The oldest are, but for a few that were sealed at about the time of the backup. Those are found by trying all their
    subsets, those of one half against those of the other. A wrong one has the right hash with probability 2^-128
    (`sethash.py`).

    Args:
        members: int64[n, 5], what each cell adds to a set hash.
        sealed: int64[n], when it was sealed.
        expected: int64[5], count and set hash of those that the ledger knows.

    Returns:
        bool[n].
    """
    count, order = int(expected[0]), np.argsort(sealed, kind="stable")
    if count > len(members):
        return None
    known = np.zeros(len(members), bool)
    known[order[:count]] = True
    if _is(expected, members[known]):
        return known
    certain, doubtful, _ = np.split(order, [max(0, count - OUT_OF_ORDER), count + OUT_OF_ORDER])
    chosen = _subset(members[doubtful], sethash.added(expected, -_sum(members[certain])))
    if chosen is None:
        return None
    known[order] = False
    known[certain] = known[doubtful[chosen]] = True
    return known


def _subset(members: Numbers, target: Numbers) -> npt.NDArray[np.bool_] | None:
    """Which of some cells have a count and hash: bool[n]; None if no subset has."""
    half = len(members) // 2
    left, right = _subsets(members[:half]), _subsets(members[half:])
    numbered = {row.tobytes(): number for number, row in enumerate(left)}
    for number, row in enumerate(sethash.added(target, -right)):
        if (other := numbered.get(row.tobytes())) is not None:
            bits = (other >> np.arange(half)) & 1, (number >> np.arange(len(members) - half)) & 1
            return np.concatenate(bits).astype(bool)
    return None


def _subsets(members: Numbers) -> Numbers:
    """Count and hash of each of the 2^n subsets: int64[2^n, 5]; bit i of its row's number says whether cell i is in."""
    found = np.zeros((1, sethash.WIDTH), np.int64)
    for member in members:
        found = np.concatenate([found, sethash.added(found, member)])
    return found


def _is(expected: Numbers, members: Numbers) -> bool:
    return bool((_sum(members) == expected).all())


def _sum(members: Numbers) -> Numbers:
    (total,) = sethash.sums(members, np.zeros(len(members), np.int64), 1)
    return np.asarray(total, np.int64)


def _everywhere(timeline: Timeline, number: int) -> list[Place]:
    """Every bucket in which a record can start that is sealed under a key."""
    begin = number % GENERATION * timeline.epoch
    return [
        Place(number, level, bucket)
        for level, width in enumerate(timeline.widths.tolist())
        for bucket in range(begin // width, (begin + timeline.epoch - 1) // width + 1)
    ]


def _instant(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _described(records: pa.Table, dataset: Dataset, number: int, epoch: int, size: int) -> Run:
    starts, ends = spans(records, dataset)
    if not len(starts):
        return Run(number, epoch, 0, 0, 0, 0, 0, 0, size)
    return Run.of(starts, ends, number=number, epoch=epoch, size=size)
