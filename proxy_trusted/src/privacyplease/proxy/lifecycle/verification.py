"""Verification: checks the whole store against the manifest, chunk by chunk, and does not stop at findings.

It asks for every cell that a question could ask for: all groups of all live segments that have records. Cells under
other tags are never asked for, so it does not matter what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple, Protocol

from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.manifest.cells import CellName, Cells
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.chunking import chunks
from privacyplease.proxy.storage.client import StorageClient

# How much is asked for at a time. It bounds the time between two progress messages; memory is bounded by pages.
CHUNK_TAGS = 1_024
CHUNK_BYTES = 64 * 1024 * 1024


class CellChunk(NamedTuple):
    """The cells of one data set that are asked for at a time."""

    dataset: Dataset
    names: list[CellName]

    @property
    def tags(self) -> int:
        """How many tags it has."""
        return len(self.names)


class Finding(NamedTuple):
    """What is wrong with one cell of a segment, or with cells that were not asked for.

    Attributes:
        dataset: The data set.
        group: Which columns the cell holds; None for cells that were not asked for.
        starts: When records of the segment can start, in ms; for cells that were not asked for, records of any segment
            of the chunk.
        missing: Cells that were stored and did not come.
        unexpected: Cells that came twice, out of order or without being asked for.
        damaged: Cells that came and differ from those that were stored.
    """

    dataset: str
    group: Group | None
    starts: Interval
    missing: int
    unexpected: int
    damaged: int


class CheckedCells(NamedTuple):
    """How many cells came, and what is wrong with them."""

    cells: int
    findings: list[Finding]


class Verifier:
    """Checks what the server has, chunk by chunk."""

    def __init__(self, manifest: Manifest, cells: Cells, storage: StorageClient, questions: Drain) -> None:
        """Initialises the verifier.

        Args:
            manifest: The segments.
            cells: Verifies cells.
            storage: The storage server.
            questions: What deletes cells waits here for the checks that may use them.
        """
        self._manifest = manifest
        self._cells = cells
        self._storage = storage
        self._questions = questions

    def chunks(self, dataset: Dataset, interval: Interval) -> Iterator[CellChunk]:
        """What there is to check of a data set: every cell that can hold a record that overlaps the interval."""
        rows = self._manifest.view(dataset.name).overlapping(interval)
        names = (CellName(row, group) for row in rows for group in row.groups)
        for chunk in chunks(names, CHUNK_BYTES, lambda name: name.size, CHUNK_TAGS):
            yield CellChunk(dataset, chunk)

    def check(self, chunk: CellChunk) -> CheckedCells:
        """Asks for the cells of a chunk, except those of segments that are no longer live.

        Raises:
            StorageError: The server did not answer.
            KeyUnavailableError: A key cannot be unwrapped.
        """
        with self._questions.passing():
            live = {row.number for row in self._manifest.view(chunk.dataset.name).rows}
            wanted = self._tags([name for name in chunk.names if name.row.number in live])
            survey = _Survey(wanted, self._cells)
            if wanted:
                with closing(self._storage.select_unchecked(sorted(wanted))) as pages:
                    for page in pages:
                        survey.add(page)
        return CheckedCells(survey.cells, survey.findings(chunk.dataset.name))

    def _tags(self, names: Sequence[CellName]) -> dict[Tag, CellName]:
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
    """The cells that came for the wanted tags.

    Attributes:
        cells: How many came.
    """

    def __init__(self, wanted: Mapping[Tag, CellName], cells: Cells) -> None:
        self.cells = 0
        self._wanted = wanted
        self._opener = cells
        self._came: set[Tag] = set()
        self._last = b""
        self._unexpected: Counter[Tag | None] = Counter()
        self._damaged: Counter[Tag | None] = Counter()

    def add(self, page: Sequence[_Sent]) -> None:
        """Checks the cells of a page."""
        self.cells += len(page)
        for cell in page:
            tag = Tag(cell.tag)
            if tag not in self._wanted:
                self._unexpected[None] += 1
                continue
            self._unexpected[tag] += tag <= self._last
            self._damaged[tag] += not self._is_intact(tag, Sealed(cell.sealed))
            self._came.add(tag)
            self._last = max(self._last, tag)

    def findings(self, dataset: str) -> list[Finding]:
        """What is wrong: first cells that were not asked for, then by first start, segment and group."""
        findings = [self._finding(dataset, tag, name) for tag, name in sorted(self._wanted.items(), key=_order)]
        if stray := self._unexpected[None]:
            summaries = [name.row.summary for name in self._wanted.values()]
            starts = Interval(min(summary.first for summary in summaries), max(summary.last for summary in summaries))
            findings.insert(0, Finding(dataset, None, starts, 0, stray, 0))
        return [finding for finding in findings if finding.missing or finding.unexpected or finding.damaged]

    def _finding(self, dataset: str, tag: Tag, name: CellName) -> Finding:
        summary, missing = name.row.summary, int(tag not in self._came)
        starts = Interval(summary.first, summary.last)
        return Finding(dataset, name.group, starts, missing, self._unexpected[tag], self._damaged[tag])

    def _is_intact(self, tag: Tag, sealed: Sealed) -> bool:
        name = self._wanted[tag]
        if not self._opener.is_genuine(name, tag, sealed):
            return False
        try:
            self._opener.open(name, tag, sealed)
        except CellDamagedError:
            return False
        return True


def _order(item: tuple[Tag, CellName]) -> tuple[int, int, Group]:
    _, (row, group) = item
    return row.summary.first, row.number, group
