"""Search: from a question to what answers it, exactly.

Its interval, and nothing else, decides which segments are fetched, in which order and in which parts. Each cell that
comes is held against the manifest before anything in it is used. Who and where is looked for in memory alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import PredicateTooLargeError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import Cells, Name
from privacyplease.proxy.manifest.currency import Currency
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row
from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.trace import Trace
from privacyplease.proxy.segments import filters
from privacyplease.proxy.segments.core import EVERY, Core, Mask
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.hashes import FILTER_LABEL, lasting_key, subject_hashes
from privacyplease.proxy.segments.memory import Held, Memory
from privacyplease.proxy.segments.pages import unpack
from privacyplease.proxy.segments.rollups import Rollup
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.parts import parts
from privacyplease.transport import deadline

# A part of an answer that is read whole before it is opened, in bytes: what is inside does not pace the reading.
PART_BYTES = 48 * 1024 * 1024

# Fewer segments inside an interval are read as fast as their roll-ups. It must not depend on what is in them.
LEAST_ROLLED_UP = 8

MOST_TAGS = 262_144


class Answer(NamedTuple):
    """What answers a question.

    Attributes:
        rollups: Roll-ups of segments that lie inside the interval.
        hits: The records of all others, segment by segment, to be taken before the search ends.
    """

    rollups: list[Rollup]
    hits: Iterator[Hit]


class Search:
    """Answers questions from the manifest's segments. Safe to use from many threads.

    Attributes:
        memory: The cells that need not be fetched.
        questions: Whoever takes cells away waits here for the questions that asked for them.
    """

    def __init__(
        self,
        manifest: Manifest,
        cells: Cells,
        keyring: Keyring,
        memory: Memory,
        currency: Currency,
        most_tags: int = MOST_TAGS,
    ) -> None:
        self.memory = memory
        self.questions = Drain()
        self._manifest = manifest
        self._cells = cells
        self._keyring = keyring
        self._currency = currency
        self._most_tags = most_tags

    @contextmanager
    def ask(self, question: Question, trace: Trace | None = None) -> Iterator[Answer]:
        """Answers for as long as the block lasts.

        Args:
            question: The question.
            trace: Looks on: then all is fetched, whatever is in memory, and nothing stays there.

        Raises:
            PredicateTooLargeError: The question touches too much.
            RolledBackError: The trusted store is older than somebody knows it.
            UntrustedAnswerError: The server's answer is not what was stored; raised while hits are taken, too.
            StorageError: The server did not answer; likewise.
        """
        self._currency.require()
        with self.questions.passing():
            rows = self._manifest.view(question.dataset.name).overlapping(question.fetched)
            inside = self._rolled_up(rows, question)
            others = [row for row in rows if row.number not in {row.number for row in inside}]
            self._check_size(question, others, inside)
            rollups = list(self._roll_ups(inside, trace))
            yield Answer(rollups, self._hits(question, others, trace))

    def _rolled_up(self, rows: Sequence[Row], question: Question) -> list[Row]:
        """The segments whose roll-ups say all that the question asks of them."""
        if not question.rollups:
            return []
        start, end = question.interval
        inside = [
            row for row in rows if Group.ROLLUP in row.groups and start <= row.summary.first and row.summary.last <= end
        ]
        return inside if len(inside) >= LEAST_ROLLED_UP else []

    def _check_size(self, question: Question, rows: Sequence[Row], inside: Sequence[Row]) -> None:
        asked = len(inside) + len(rows) * (2 if question.columns else 1)
        if asked > self._most_tags:
            message = f"the question touches {asked:,} cells; at most {self._most_tags:,} may be asked for"
            raise PredicateTooLargeError(message, tags=asked, limit=self._most_tags)

    def _roll_ups(self, rows: Sequence[Row], trace: Trace | None) -> Iterator[Rollup]:
        wanted = self._cells.tags(rows, Group.ROLLUP)
        sizes = {tag: name.size for tag, name in wanted.items()}
        held = {} if trace else self.memory.held(sizes)
        absent = [(tag, name) for tag, name in wanted.items() if tag not in held]
        for part in map(dict, parts(absent, PART_BYTES, lambda item: item[1].size)):
            fresh = {tag: _sealed(wanted[tag], sealed) for tag, sealed in self._fetch(part, trace).items()}
            if not trace:
                self.memory.keep(fresh, sizes)
            held |= fresh
        for tag, cell in held.items():
            rollup = cell.opened(Rollup, partial(self._cells.open, wanted[tag], tag))
            if trace:
                trace.saw_rollup(tag, rollup)
            yield rollup

    def _hits(self, question: Question, rows: Sequence[Row], trace: Trace | None) -> Iterator[Hit]:
        cores = self._cells.tags(rows, Group.CORE)
        rests = {name.row.number: (tag, name) for tag, name in self._rests(question, rows).items()}
        sizes = {tag: name.size for tag, name in cores.items()}
        held = {} if trace else self.memory.held(sizes)
        chosen = _Chosen(question, self._subject_hashes(question))

        def weight(core: tuple[Tag, Name]) -> int:
            tag, name = core
            rest = rests[name.row.number][1].size if name.row.number in rests else 0
            return rest if tag in held else name.size + rest

        for part in map(dict, parts(cores.items(), PART_BYTES, weight)):
            wanted = {tag: name for tag, name in part.items() if tag not in held}
            beside = dict(rests[name.row.number] for name in part.values() if name.row.number in rests)
            came = self._fetch(wanted | beside, trace)
            fresh = {tag: _sealed(name, came[tag]) for tag, name in wanted.items()}
            if not trace:
                self.memory.keep(fresh, sizes)
            deadline.require()
            for tag, name in part.items():
                yield from self._hit(chosen, tag, name, fresh.get(tag) or held[tag], came, rests, trace)

    def _hit(
        self,
        chosen: _Chosen,
        tag: Tag,
        name: Name,
        cell: Held,
        came: Mapping[Tag, Sealed],
        rests: Mapping[SegmentId, tuple[Tag, Name]],
        trace: Trace | None,
    ) -> Iterator[Hit]:
        """What a segment has for the question: nothing, or its records."""
        if not chosen.may_be_in(name.row) and not trace:
            return
        core = cell.opened(Core, partial(self._cells.open, name, tag))
        rest = None
        if name.row.number in rests:
            beside, named = rests[name.row.number]
            rest = unpack(self._cells.open(named, beside, came[beside]))
        hits = list(chosen.of(core, name.row, rest))
        if trace:
            trace.saw(tag, len(core), sum(map(len, hits)))
        yield from hits

    def _rests(self, question: Question, rows: Sequence[Row]) -> dict[Tag, Name]:
        return self._cells.tags(rows, Group.REST) if question.columns else {}

    def _fetch(self, wanted: Mapping[Tag, Name], trace: Trace | None) -> dict[Tag, Sealed]:
        came = self._cells.fetch(wanted)
        if trace:
            trace.fetched({tag: (wanted[tag].group, sealed) for tag, sealed in came.items()})
        return came

    def _subject_hashes(self, question: Question) -> list[int] | None:
        if question.subjects is None:
            return None
        dataset = question.dataset
        stored = pa.array(question.subject_values, dataset.schema.field(dataset.subject).type)
        key = lasting_key(dataset, self._keyring, FILTER_LABEL)
        hashes: list[int] = subject_hashes(key, stored, dataset.columns[dataset.subject]).tolist()
        return hashes


class _Chosen:
    """Which records of a segment belong to a question."""

    def __init__(self, question: Question, hashes: list[int] | None) -> None:
        self._question = question
        self._hashes = hashes
        self._subjects = question.subject_values
        self._places = question.place_names

    def may_be_in(self, row: Row) -> bool:
        """Whether the segment can hold a subject that is asked about."""
        made = row.summary.subjects
        return self._hashes is None or any(filters.may_hold(made, hashed) for hashed in self._hashes)

    def of(self, core: Core, row: Row, rest: pa.Table | None) -> Iterator[Hit]:
        """The records that belong to it, if there are any."""
        if self._subjects is None:
            yield from self._within(core, row, EVERY, rest)
            return
        for subject in self._subjects:
            span = core.rows_of(subject)
            if span.start < span.stop:
                yield from self._within(core, row, span, rest)

    def _within(self, core: Core, row: Row, span: slice, rest: pa.Table | None) -> Iterator[Hit]:
        start, end = self._question.interval
        mask: Mask | None = None
        if row.summary.first < start or row.summary.last > end:
            mask = core.overlapping(self._question.interval, span)
        if self._places is not None:
            here = core.at(self._places, span)
            mask = here if mask is None else mask & here
        if mask is None or mask.any():
            yield Hit(core, span, mask, rest)


def _sealed(name: Name, sealed: Sealed) -> Held:
    owner = name.row.dataset, name.row.key
    return Held(owner, name.size, sealed)
