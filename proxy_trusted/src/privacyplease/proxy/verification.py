"""Verification: the whole store against the ledger, part by part, without stopping at what is found.

What is asked for is every tag that any question could ask for: all bins of all places that may hold data. Cells under
other tags are never asked for, by nobody, so it does not matter what they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from privacyplease.proxy.cells import CELL_ID_BYTES, Opener
from privacyplease.proxy.edge.drain import Turnstile
from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.holdings import Holdings, Place
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.ledger import Asked
from privacyplease.proxy.predicate import Predicate, predicate
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.verified import VerifiedStorage, asked_tags
from privacyplease.storage.v1 import storage_service_pb2 as pb

EVERYTHING = Interval(EARLIEST, LATEST)

# How much is asked for at a time: it bounds memory, and the time between two messages of progress.
PART_TAGS = 1_024
PART_CELLS = 65_536

_NOWHERE = b""  # in the place of the tag, for cells that nobody asked for


class Part(NamedTuple):
    """Places of one index in one epoch, as much as is asked for at a time.

    Attributes:
        dataset: The data set.
        of_index: The index.
        starts: When records at each place can start, in ms.
    """

    dataset: Dataset
    of_index: Index
    starts: dict[Place, Interval]

    @property
    def epoch(self) -> int:
        """Theirs."""
        return next(iter(self.starts)).epoch

    @property
    def tags(self) -> int:
        """How many tags it has."""
        return len(self.starts) * self.of_index.bins


class Finding(NamedTuple):
    """What is wrong with the cells of one place of one index.

    Attributes:
        dataset: The data set.
        index_name: The index.
        starts: When records of these cells can begin, in ms.
        missing: Cells that are stored and did not come.
        unexpected: Cells that came and are not stored, or came again, out of order or without being asked for.
        damaged: Cells that came and do not open.
    """

    dataset: str
    index_name: str
    starts: Interval
    missing: int
    unexpected: int
    damaged: int


class Checked(NamedTuple):
    """How many cells came, and what is wrong with them."""

    cells: int
    findings: list[Finding]


class Verification:
    """Checks what the server has, bucket by bucket."""

    def __init__(
        self,
        storage: VerifiedStorage,
        keyring: Keyring,
        layouts: Layouts,
        holdings: Holdings,
        questions: Turnstile,
    ) -> None:
        self._questions = questions
        self._storage = storage
        self._keyring = keyring
        self._layouts = layouts
        self._holdings = holdings

    def parts(self, dataset: Dataset, interval: Interval) -> Iterator[Part]:
        """What there is to check of a data set: every place at which a record that overlaps the interval can lie."""
        for index in dataset.indexes.values():
            held = self._holdings.overlapping(dataset.name, index.name, dataset.timeline, interval)
            starts = {bucket.place: dataset.timeline.covered(*bucket.place) for bucket in held.buckets}
            starts |= {run.place: Interval(run.first, run.last) for run in held.runs}
            starts |= {run.rollup: Interval(run.first, run.last) for run in held.runs if run.rolled_up}
            size = max(1, PART_TAGS // index.bins)
            for _, group in groupby(sorted(starts), key=attrgetter("epoch")):
                places = list(group)
                for begin in range(0, len(places), size):
                    yield Part(dataset, index, {place: starts[place] for place in places[begin : begin + size]})

    def check(self, part: Part) -> Checked:
        """Asks for all cells of a part and compares them with the ledger. Of an epoch that was erased there are none.

        Raises:
            StorageError: The server did not answer.
            KeyUnavailableError: The key of the epoch is gone, or does not open.
        """
        with self._questions.passing():
            held = self._holdings.all(part.dataset.name, part.of_index.name, part.dataset.timeline)
            return self._check(part) if part.epoch in {place.epoch for place in held.places} else Checked(0, [])

    def _check(self, part: Part) -> Checked:
        asked, places = self._tags(part)
        cells, wrong = 0, defaultdict[Place | None, Numbers](lambda: np.zeros(3, np.int64))
        for call in self._storage.parts(asked, part.dataset.name, part.of_index.name):
            for survey in self._surveys(call, part):
                cells += survey.cells
                for tag, counts in survey.wrong():
                    wrong[places.get(tag)] += counts
        return Checked(cells, [_finding(part, place, counts) for place, counts in sorted(wrong.items(), key=_order)])

    def _tags(self, part: Part) -> tuple[Predicate, dict[bytes, Place]]:
        """Every tag of a part, and the place that it stands for."""
        asked: Predicate = {}
        places: dict[bytes, Place] = {}
        for place in part.starts:
            tags = predicate(part.dataset, part.of_index, [place], None, self._keyring, part.of_index.bins)
            asked |= tags
            places |= dict.fromkeys(tags, place)
        return asked, places

    def _surveys(self, asked: Asked, part: Part) -> Iterator[_Survey]:
        """What came for the tags, in as many goes as it takes for none to be too large."""
        look = self._storage.look(asked)
        half = len(asked.tags) // 2
        if half and look.expected[:, 0].sum() > PART_CELLS:
            for some in (slice(half), slice(half, None)):
                yield from self._surveys(asked._replace(tags=asked.tags[some], epochs=asked.epochs[some]), part)
            return
        survey = _Survey(asked, self._opener(part))
        for page in self._storage.as_sent(asked):
            survey.take(page)
        survey.differing = self._storage.compare(asked, look, survey.names)
        yield survey

    def _opener(self, part: Part) -> Opener:
        dataset, index = part.dataset, part.of_index
        keys = self._keyring.keys(dataset.name, part.epoch, index.name)
        return Opener(keys.cell, self._layouts, dataset.name, index.name, dataset.carried(index))


class _Survey:
    """What came for some tags, cell by cell.

    Attributes:
        names: Tag and id of each cell that was asked for, once, one after the other.
        cells: How many came.
        differing: int64[m, 2], what the ledger says of the names, for each tag.
    """

    def __init__(self, asked: Asked, opener: Opener) -> None:
        self.names = bytearray()
        self.cells = 0
        self.differing: Numbers = np.zeros((len(asked.tags), 2), np.int64)
        self._tags = asked_tags(asked)
        self._asked = frozenset(self._tags)
        self._opener = opener
        self._came: set[bytes] = set()
        self._last = b""
        self._out_of_place: Counter[bytes] = Counter()
        self._damaged: Counter[bytes] = Counter()

    def take(self, page: Sequence[pb.Cell]) -> None:
        """Looks at the cells of a page."""
        self.cells += len(page)
        for cell in page:
            if cell.tag not in self._asked:
                self._out_of_place[_NOWHERE] += 1
            elif len(cell.cell_id) != CELL_ID_BYTES:
                self._damaged[cell.tag] += 1
            else:
                self._place(cell.tag, cell.tag + cell.cell_id)
                self._open(cell)

    def wrong(self) -> Iterator[tuple[bytes, Numbers]]:
        """Tags and what is wrong under them: int64[3], missing, unexpected and damaged cells."""
        for row in np.flatnonzero(self.differing.any(axis=1)).tolist():
            yield self._tags[row], np.append(self.differing[row], 0)
        for tag, cells in self._out_of_place.items():
            yield tag, np.array([0, cells, 0])
        for tag, cells in self._damaged.items():
            yield tag, np.array([0, 0, cells])

    def _place(self, tag: bytes, name: bytes) -> None:
        if name <= self._last:
            self._out_of_place[tag] += 1
        if name not in self._came:
            self._came.add(name)
            self.names += name
        self._last = max(self._last, name)

    def _open(self, cell: pb.Cell) -> None:
        try:
            self._opener.open(cell.sealed, cell.tag, cell.cell_id)
        except CellDamagedError:
            self._damaged[cell.tag] += 1


def _finding(part: Part, place: Place | None, counts: Numbers) -> Finding:
    starts = part.starts.values() if place is None else [part.starts[place]]
    first, last = min(of.start for of in starts), min(max(of.end for of in starts), LATEST)
    return Finding(part.dataset.name, part.of_index.name, Interval(first, last), *counts.tolist())


def _order(item: tuple[Place | None, Numbers]) -> tuple[int, ...]:
    return () if item[0] is None else item[0]
