"""Verification: the whole store against the ledger, part by part, without stopping at what is found.

What is asked for is every tag that any question could ask for: all bins of all buckets that may hold data. Cells under
other tags are never asked for, by nobody, so it does not matter what they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from privacyplease.proxy.cells import CELL_ID_BYTES, Opener
from privacyplease.proxy.dataset import Dataset, Index
from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.extents import Extents
from privacyplease.proxy.keyring import Keyring
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.ledger import Asked
from privacyplease.proxy.predicate import Predicate, predicate
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.timeline import EARLIEST, LATEST, Extent, Interval
from privacyplease.proxy.turnstile import Turnstile
from privacyplease.proxy.verified import VerifiedStorage, asked_tags
from privacyplease.storage.v1 import storage_service_pb2 as pb

EVERYTHING = Interval(EARLIEST, LATEST)

# How much is asked for at a time: it bounds memory, and the time between two messages of progress.
PART_TAGS = 1_024
PART_CELLS = 65_536

_NOWHERE = b""  # in the place of the tag, for cells that nobody asked for


class Part(NamedTuple):
    """A run of buckets of one index, as much as is asked for at a time."""

    dataset: Dataset
    of_index: Index
    extent: Extent

    @property
    def tags(self) -> int:
        """How many tags it has."""
        return (self.extent.last - self.extent.first + 1) * self.of_index.bins


class Finding(NamedTuple):
    """What is wrong with the cells of one bucket of one index.

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
        extents: Extents,
        questions: Turnstile,
    ) -> None:
        self._questions = questions
        self._storage = storage
        self._keyring = keyring
        self._layouts = layouts
        self._extents = extents

    def parts(self, dataset: Dataset, interval: Interval) -> Iterator[Part]:
        """What there is to check of a data set: every bucket in which a record that overlaps the interval can lie."""
        for index in dataset.indexes.values():
            width = max(1, PART_TAGS // index.bins)
            for extent in self._extents.extents(dataset.name):
                buckets = dataset.timeline.overlapping(interval, extent)
                for first in buckets[::width]:
                    last = min(first + width, buckets.stop) - 1
                    yield Part(dataset, index, Extent(extent.epoch, extent.level, first, last))

    def check(self, part: Part) -> Checked:
        """Asks for all cells of a part and compares them with the ledger. Of an epoch that was erased there are none.

        Raises:
            StorageError: The server did not answer.
            KeyUnavailableError: The key of the epoch is gone, or does not open.
        """
        with self._questions.passing():
            epochs = {extent.epoch for extent in self._extents.extents(part.dataset.name)}
            return self._check(part) if part.extent.epoch in epochs else Checked(0, [])

    def _check(self, part: Part) -> Checked:
        asked, buckets = self._tags(part)
        cells, wrong = 0, defaultdict[int | None, Numbers](lambda: np.zeros(3, np.int64))
        for call in self._storage.parts(asked, part.dataset.name, part.of_index.name):
            for survey in self._surveys(call, part):
                cells += survey.cells
                for tag, counts in survey.wrong():
                    wrong[buckets.get(tag)] += counts
        return Checked(cells, [_finding(part, bucket, counts) for bucket, counts in sorted(wrong.items(), key=_order)])

    def _tags(self, part: Part) -> tuple[Predicate, dict[bytes, int]]:
        """Every tag of a part, and the bucket that it stands for."""
        asked: Predicate = {}
        buckets: dict[bytes, int] = {}
        epoch, level, first, last = part.extent
        for bucket in range(first, last + 1):
            one = [Extent(epoch, level, bucket, bucket)]
            tags = predicate(part.dataset, part.of_index, EVERYTHING, None, one, self._keyring, part.of_index.bins)
            asked |= tags
            buckets |= dict.fromkeys(tags, bucket)
        return asked, buckets

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
        keys = self._keyring.keys(dataset.name, part.extent.epoch, index.name)
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


def _finding(part: Part, bucket: int | None, counts: Numbers) -> Finding:
    epoch, level, first, last = part.extent
    if bucket is not None:
        first = last = bucket
    width, timeline = int(part.dataset.timeline.widths[level]), part.dataset.timeline
    start = max(first * width, epoch * timeline.epoch)
    end = min((last + 1) * width, (epoch + 1) * timeline.epoch, LATEST + 1) - 1
    return Finding(part.dataset.name, part.of_index.name, Interval(start, end), *counts.tolist())


def _order(item: tuple[int | None, Numbers]) -> int:
    return -1 if item[0] is None else item[0]
