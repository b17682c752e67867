"""Verification: the whole store against the manifest, part by part, without stopping at what is found.

What is asked for is every cell that any question could ask for: all groups of all live segments that hold a record.
Cells under other tags are never asked for, by nobody, so it does not matter what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple, Protocol

from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.manifest.cells import Cells, Name
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.client import Storage

# How much is asked for at a time: it bounds the time between two messages of progress. Memory is bounded by pages.
PART_TAGS = 1_024
PART_BYTES = 64 * 1024 * 1024


class Part(NamedTuple):
    """Cells of one data set, as many as are asked for at a time."""

    dataset: Dataset
    names: list[Name]

    @property
    def tags(self) -> int:
        """How many tags it has."""
        return len(self.names)


class Finding(NamedTuple):
    """What is wrong with one cell of a segment, or with cells that nobody asked for.

    Attributes:
        dataset: The data set.
        group: Which columns the cell holds; None for cells that nobody asked for.
        starts: When records of the segment can begin, in ms; of any segment that was asked for, if nobody asked.
        missing: Cells that are stored and did not come.
        unexpected: Cells that came again, out of order or without being asked for.
        damaged: Cells that came and are not those that were stored.
    """

    dataset: str
    group: Group | None
    starts: Interval
    missing: int
    unexpected: int
    damaged: int


class Checked(NamedTuple):
    """How many cells came, and what is wrong with them."""

    cells: int
    findings: list[Finding]


class Verification:
    """Checks what the server has, part by part."""

    def __init__(self, manifest: Manifest, cells: Cells, storage: Storage, questions: Drain) -> None:
        """Takes the parts; whoever takes cells away waits for `questions`."""
        self._manifest = manifest
        self._cells = cells
        self._storage = storage
        self._questions = questions

    def parts(self, dataset: Dataset, interval: Interval) -> Iterator[Part]:
        """What there is to check of a data set: every cell that can hold a record which overlaps the interval."""
        names: list[Name] = []
        size = 0
        for row in self._manifest.view(dataset.name).overlapping(interval):
            for name in (Name(row, group) for group in row.groups):
                if names and (len(names) == PART_TAGS or size + name.size > PART_BYTES):
                    yield Part(dataset, names)
                    names, size = [], 0
                names.append(name)
                size += name.size
        if names:
            yield Part(dataset, names)

    def check(self, part: Part) -> Checked:
        """Asks for the cells of a part, but for those of segments that are not live any more.

        Raises:
            StorageError: The server did not answer.
            KeyUnavailableError: A key does not open.
        """
        with self._questions.passing():
            live = {row.number for row in self._manifest.view(part.dataset.name).rows}
            wanted = self._tags([name for name in part.names if name.row.number in live])
            survey = _Survey(wanted, self._cells)
            if wanted:
                with closing(self._storage.as_sent(sorted(wanted))) as pages:
                    for page in pages:
                        survey.take(page)
        return Checked(survey.cells, survey.findings(part.dataset.name))

    def _tags(self, names: Sequence[Name]) -> dict[Tag, Name]:
        return {
            tag: name
            for group in Group
            for tag, name in self._cells.tags([name.row for name in names if name.group is group], group).items()
        }


class _Sent(Protocol):
    """A cell as the server sends it."""

    @property
    def tag(self) -> bytes: ...
    @property
    def sealed(self) -> bytes: ...


class _Survey:
    """What came for some tags, cell by cell.

    Attributes:
        cells: How many came.
    """

    def __init__(self, wanted: Mapping[Tag, Name], cells: Cells) -> None:
        self.cells = 0
        self._wanted = wanted
        self._opener = cells
        self._came: set[Tag] = set()
        self._last = b""
        self._unexpected: Counter[Tag | None] = Counter()
        self._damaged: Counter[Tag | None] = Counter()

    def take(self, page: Sequence[_Sent]) -> None:
        """Looks at the cells of a page."""
        self.cells += len(page)
        for cell in page:
            tag = Tag(cell.tag)
            if tag not in self._wanted:
                self._unexpected[None] += 1
                continue
            self._unexpected[tag] += tag <= self._last
            self._damaged[tag] += not self._sound(tag, Sealed(cell.sealed))
            self._came.add(tag)
            self._last = max(self._last, tag)

    def findings(self, dataset: str) -> list[Finding]:
        """What is wrong: what nobody asked for, then by first start, segment and group."""
        found = [self._finding(dataset, tag, name) for tag, name in sorted(self._wanted.items(), key=_order)]
        if stray := self._unexpected[None]:
            abouts = [name.row.summary for name in self._wanted.values()]
            starts = Interval(min(about.first for about in abouts), max(about.last for about in abouts))
            found.insert(0, Finding(dataset, None, starts, 0, stray, 0))
        return [finding for finding in found if finding.missing or finding.unexpected or finding.damaged]

    def _finding(self, dataset: str, tag: Tag, name: Name) -> Finding:
        about, missing = name.row.summary, int(tag not in self._came)
        starts = Interval(about.first, about.last)
        return Finding(dataset, name.group, starts, missing, self._unexpected[tag], self._damaged[tag])

    def _sound(self, tag: Tag, sealed: Sealed) -> bool:
        name = self._wanted[tag]
        if not self._opener.vouched(name, tag, sealed):
            return False
        try:
            self._opener.open(name, tag, sealed)
        except CellDamagedError:
            return False
        return True


def _order(item: tuple[Tag, Name]) -> tuple[int, int, Group]:
    _, (row, group) = item
    return row.summary.first, row.number, group
