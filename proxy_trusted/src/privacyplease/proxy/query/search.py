"""Search: from a question to exactly the records that answer it.

The interval, and nothing else, decides which segments are fetched, in which order and in which chunks. Each cell is
verified against the manifest before anything in it is used. Subjects and places are searched only in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from privacyplease.proxy.edge import cell_budget
from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import PredicateTooLargeError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import CellName, Cells
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.trace import Trace
from privacyplease.proxy.records.columns import Mask
from privacyplease.proxy.segments import filters
from privacyplease.proxy.segments.cell_cache import CachedCell, CellCache
from privacyplease.proxy.segments.core import EVERY, Core
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.hashes import FILTER_LABEL, lasting_key, subject_hashes
from privacyplease.proxy.segments.pages import unpack
from privacyplease.proxy.segments.rollups import Rollup
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.chunking import chunks
from privacyplease.transport import deadline

# A chunk of an answer is read completely before it is opened: what is inside does not pace the reading.
CHUNK_BYTES = 48 * 1024 * 1024

# Fewer segments inside an interval are read as fast as their roll-ups. The choice must not depend on their content.
LEAST_ROLLED_UP = 8

MOST_TAGS = 262_144


class SearchResult(NamedTuple):
    """What answers a question.

    Attributes:
        rollups: Roll-ups of segments that lie inside the interval.
        hits: The records of all other segments, segment by segment, to be consumed before the search ends.
    """

    rollups: list[Rollup]
    hits: Iterator[Hit]


class Search:
    """Answers questions from the manifest's segments. Safe to use from many threads.

    Attributes:
        cache: The cells that need not be fetched.
        questions: What deletes cells waits here for the questions that may use them.
    """

    def __init__(
        self,
        manifest: Manifest,
        cells: Cells,
        keyring: Keyring,
        cache: CellCache,
        rollback_check: RollbackCheck,
        most_tags: int = MOST_TAGS,
    ) -> None:
        self.cache = cache
        self.questions = Drain()
        self._manifest = manifest
        self._cells = cells
        self._keyring = keyring
        self._rollback_check = rollback_check
        self._most_tags = most_tags

    @contextmanager
    def ask(self, question: Question, trace: Trace | None = None) -> Iterator[SearchResult]:
        """Answers a question. The result is valid for as long as the block lasts.

        Args:
            question: The question.
            trace: Records what the server sees; everything is then fetched, whatever is cached, and nothing is kept.

        Raises:
            PredicateTooLargeError: The question touches too many cells.
            RateLimitedError: Whoever asks has used up what they may ask for in a minute.
            RolledBackError: The trusted store was rolled back.
            UntrustedAnswerError: The server's answer is not what was stored; may also be raised while hits are read.
            StorageError: The server did not answer; likewise.
        """
        self._rollback_check.require_newest()
        with self.questions.passing():
            rows = self._manifest.view(question.dataset.name).overlapping(question.fetched)
            inside = self._rolled_up(rows, question)
            others = [row for row in rows if row.number not in {row.number for row in inside}]
            self._check_size(question, others, inside)
            rollups = list(self._read_rollups(inside, trace))
            yield SearchResult(rollups, self._hits(question, others, trace))

    def _rolled_up(self, rows: Sequence[ManifestRow], question: Question) -> list[ManifestRow]:
        """The segments whose roll-ups have all that the question needs of them."""
        if not question.rollups:
            return []
        start, end = question.interval
        inside = [
            row for row in rows if Group.ROLLUP in row.groups and start <= row.summary.first and row.summary.last <= end
        ]
        return inside if len(inside) >= LEAST_ROLLED_UP else []

    def _check_size(self, question: Question, rows: Sequence[ManifestRow], inside: Sequence[ManifestRow]) -> None:
        cells = len(inside) + len(rows) * (2 if question.columns else 1)
        if cells > self._most_tags:
            message = f"expected a question that touches at most {self._most_tags:,} cells, got {cells:,}"
            raise PredicateTooLargeError(message, tags=cells, limit=self._most_tags)
        cell_budget.charge(cells)

    def _read_rollups(self, rows: Sequence[ManifestRow], trace: Trace | None) -> Iterator[Rollup]:
        wanted = self._cells.tags(rows, Group.ROLLUP)
        sizes = {tag: name.size for tag, name in wanted.items()}
        held = {} if trace else self.cache.held(sizes)
        absent = [(tag, name) for tag, name in wanted.items() if tag not in held]
        for chunk in map(dict, chunks(absent, CHUNK_BYTES, lambda item: item[1].size)):
            fresh = {tag: _cached(wanted[tag], sealed) for tag, sealed in self._fetch(chunk, trace).items()}
            if not trace:
                self.cache.keep(fresh, sizes)
            held |= fresh
        for tag, cell in held.items():
            rollup = cell.opened(Rollup, partial(self._cells.open, wanted[tag], tag))
            if trace:
                trace.saw_rollup(tag, rollup)
            yield rollup

    def _hits(self, question: Question, rows: Sequence[ManifestRow], trace: Trace | None) -> Iterator[Hit]:
        cores = self._cells.tags(rows, Group.CORE)
        rests = {name.row.number: (tag, name) for tag, name in self._rests(question, rows).items()}
        sizes = {tag: name.size for tag, name in cores.items()}
        held = {} if trace else self.cache.held(sizes)
        matcher = _Matcher(question, self._subject_hashes(question))

        def fetched_bytes(core: tuple[Tag, CellName]) -> int:
            tag, name = core
            rest = rests[name.row.number][1].size if name.row.number in rests else 0
            return rest if tag in held else name.size + rest

        for chunk in map(dict, chunks(cores.items(), CHUNK_BYTES, fetched_bytes)):
            wanted = {tag: name for tag, name in chunk.items() if tag not in held}
            wanted_rests = dict(rests[name.row.number] for name in chunk.values() if name.row.number in rests)
            cells = self._fetch(wanted | wanted_rests, trace)
            fresh = {tag: _cached(name, cells[tag]) for tag, name in wanted.items()}
            if not trace:
                self.cache.keep(fresh, sizes)
            deadline.require()
            for tag, name in chunk.items():
                yield from self._hit(matcher, tag, name, fresh.get(tag) or held[tag], cells, rests, trace)

    def _hit(
        self,
        matcher: _Matcher,
        tag: Tag,
        name: CellName,
        cell: CachedCell,
        cells: Mapping[Tag, Sealed],
        rests: Mapping[SegmentId, tuple[Tag, CellName]],
        trace: Trace | None,
    ) -> Iterator[Hit]:
        """The records of a segment that match the question, if there are any."""
        if not matcher.may_match(name.row) and not trace:
            return
        core = cell.opened(Core, partial(self._cells.open, name, tag))
        rest = None
        if name.row.number in rests:
            rest_tag, rest_name = rests[name.row.number]
            rest = unpack(self._cells.open(rest_name, rest_tag, cells[rest_tag]))
        hits = list(matcher.hits(core, name.row, rest))
        if trace:
            trace.saw(tag, len(core), sum(map(len, hits)))
        yield from hits

    def _rests(self, question: Question, rows: Sequence[ManifestRow]) -> dict[Tag, CellName]:
        return self._cells.tags(rows, Group.REST) if question.columns else {}

    def _fetch(self, wanted: Mapping[Tag, CellName], trace: Trace | None) -> dict[Tag, Sealed]:
        cells = self._cells.fetch(wanted)
        if trace:
            trace.fetched({tag: (wanted[tag].group, sealed) for tag, sealed in cells.items()})
        return cells

    def _subject_hashes(self, question: Question) -> list[int] | None:
        if question.subjects is None:
            return None
        dataset = question.dataset
        stored = pa.array(question.subject_values, dataset.schema.field(dataset.subject).type)
        key = lasting_key(dataset, self._keyring, FILTER_LABEL)
        hashes: list[int] = subject_hashes(key, stored, dataset.columns[dataset.subject]).tolist()
        return hashes


class _Matcher:
    """Decides which records of a segment match a question."""

    def __init__(self, question: Question, hashes: list[int] | None) -> None:
        self._question = question
        self._hashes = hashes
        self._subjects = question.subject_values
        self._places = question.place_names

    def may_match(self, row: ManifestRow) -> bool:
        """Whether the segment can hold a subject that the question is about."""
        subject_filter = row.summary.subjects
        return self._hashes is None or any(filters.may_hold(subject_filter, hashed) for hashed in self._hashes)

    def hits(self, core: Core, row: ManifestRow, rest: pa.Table | None) -> Iterator[Hit]:
        """The records of a segment that match."""
        if self._subjects is None:
            yield from self._within(core, row, EVERY, rest)
            return
        for subject in self._subjects:
            span = core.rows_of(subject)
            if span.start < span.stop:
                yield from self._within(core, row, span, rest)

    def _within(self, core: Core, row: ManifestRow, span: slice, rest: pa.Table | None) -> Iterator[Hit]:
        start, end = self._question.interval
        mask: Mask | None = None
        if row.summary.first < start or row.summary.last > end:
            mask = core.overlapping(self._question.interval, span)
        if self._places is not None:
            here = core.at(self._places, span)
            mask = here if mask is None else mask & here
        if mask is None or mask.any():
            yield Hit(core, span, mask, rest)


def _cached(name: CellName, sealed: Sealed) -> CachedCell:
    owner = name.row.dataset, name.row.key
    return CachedCell(owner, name.size, sealed)
