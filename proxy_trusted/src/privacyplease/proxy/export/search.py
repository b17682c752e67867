"""The search of a proxy on an exported keyring: counts people in one interval, and does nothing else.

It has no digests, so it accepts a cell as genuine if it opens under the cell key and for its own tag: then it was
neither changed nor moved. Another holder of the same keyring could have sealed it; the proxy that exported the keyring
cannot be deceived in this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from privacyplease.proxy.edge import cell_budget
from privacyplease.proxy.errors import (
    CellDamagedError,
    CellsMissingError,
    ConfigurationError,
    NotExportedError,
    PredicateTooLargeError,
)
from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.export.keyring_file import Export
from privacyplease.proxy.export.plausible_core import plausible_core
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.manifest.view import ManifestView
from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import CHUNK_BYTES, SearchResult
from privacyplease.proxy.records.columns import Mask
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.cell_cache import CachedCell, CellCache
from privacyplease.proxy.segments.core import EVERY, Core
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.sealing import CellContext, Opener
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.chunking import chunks
from privacyplease.proxy.storage.client import StorageClient

CHANGED = "if the period has changed since the keyring was exported, ask for a new one"


class ExportedSearch:
    """Finds records of the exported interval. Safe to use from many threads.

    Attributes:
        memory: The cells that need not be fetched.
    """

    def __init__(self, export: Export, storage: StorageClient, most_tags: int, memory: CellCache) -> None:
        self.memory = memory
        self._export = export
        self._view = ManifestView(0, export.segments)
        self._storage = storage
        self._most_tags = most_tags

    @classmethod
    def open(
        cls, file: Path, passphrase: str | None, storage: StorageClient, most_tags: int, memory: CellCache
    ) -> ExportedSearch:
        """Opens an exported keyring.

        Args:
            file: The keyring.
            passphrase: Its passphrase.
            storage: The storage server.
            most_tags: How many tags one question may touch.
            memory: The cells that need not be fetched.

        Raises:
            ConfigurationError: The file is not an exported keyring, or no passphrase is given.
            WrongPassphraseError: The passphrase does not open it.
        """
        if passphrase is None:
            raise ConfigurationError("expected the exported keyring's passphrase in PRIVACYPLEASE_PASSPHRASE or a file")
        return cls(keyring_file.load(file, passphrase), storage, most_tags, memory)

    @property
    def dataset(self) -> Dataset:
        """The one data set that can be asked about."""
        return self._export.dataset

    @contextmanager
    def ask(self, question: Question) -> Iterator[SearchResult]:
        """Answers a question, without roll-ups; the answer can be read while the block lasts.

        Raises:
            NotExportedError: The question goes beyond what was exported.
            PredicateTooLargeError: It touches too many cells.
            UntrustedAnswerError: The server's answer is not what was stored; also raised while hits are read.
            StorageError: The server did not answer; likewise.
        """
        self._check(question)
        rows = self._view.overlapping(question.fetched)
        if len(rows) > self._most_tags:
            message = f"expected a question that touches at most {self._most_tags:,} cells, got {len(rows):,}"
            raise PredicateTooLargeError(message, tags=len(rows), limit=self._most_tags)
        cell_budget.charge(len(rows))
        yield SearchResult([], self._hits(question, rows))

    def _check(self, question: Question) -> None:
        allowed = self._export.interval
        if question.dataset.name != self.dataset.name or question.columns or question.subjects is not None:
            raise NotExportedError("expected a count of people: the keyring was exported only for that")
        if question.interval.start < allowed.start or question.interval.end > allowed.end:
            message = f"expected an interval within {_iso(allowed.start)} … {_iso(allowed.end)}, which was exported"
            raise NotExportedError(message, field="interval")

    def _hits(self, question: Question, rows: Sequence[ManifestRow]) -> Iterator[Hit]:
        wanted = self._tags(rows)
        sizes = {tag: row.size for tag, row in wanted.items()}
        held = self.memory.held(sizes)
        weighed = chunks(wanted.items(), CHUNK_BYTES, lambda item: 0 if item[0] in held else item[1].size)
        for part in map(dict, weighed):
            fresh = self._fetch({tag: row for tag, row in part.items() if tag not in held})
            cores = {tag: self._core(row, tag, fresh.get(tag) or held[tag]) for tag, row in part.items()}
            self.memory.keep(fresh, sizes)  # all of them are genuine
            for tag, row in part.items():
                yield from _chosen(cores[tag], row, question)

    def _tags(self, rows: Sequence[ManifestRow]) -> dict[Tag, ManifestRow]:
        """The segments by the tag of their core."""
        row_of = {}
        for row in rows:
            (tag,) = groups.tags(self._export.keys[row.key].tag, Group.CORE, [row.number])
            row_of[tag] = row
        return row_of

    def _fetch(self, wanted: Mapping[Tag, ManifestRow]) -> dict[Tag, CachedCell]:
        """All of the wanted cells, each of the expected size; opening a cell then shows whether it is genuine."""
        fetched = self._storage.select(wanted) if wanted else {}
        if missing := len(wanted.keys() - fetched.keys()):
            raise CellsMissingError(f"the storage server withheld cells; {CHANGED}", cells=missing)
        if damaged := sum(1 for tag, row in wanted.items() if len(fetched[tag]) != row.size):
            raise CellDamagedError("the storage server returned cells other than those that were stored", cells=damaged)
        return {tag: CachedCell((row.dataset, row.key), row.size, fetched[tag]) for tag, row in wanted.items()}

    def _core(self, row: ManifestRow, tag: Tag, cell: CachedCell) -> Core:
        core = cell.opened(Core, partial(self._open, row, tag))
        if len(core) != row.summary.records:
            message = f"expected a cell of {row.summary.records:,} records, as when the keyring was exported"
            raise CellDamagedError(f"{message}; got {len(core):,}", cells=1)
        return core

    def _open(self, row: ManifestRow, tag: Tag, sealed: Sealed) -> pa.RecordBatch:
        place = CellContext(row.dataset, Group.CORE, tag)
        return plausible_core(Opener(self._export.keys[row.key].cell).open(sealed, place))


def _chosen(core: Core, row: ManifestRow, question: Question) -> Iterator[Hit]:
    """The records of a segment that match a question, if there are any."""
    start, end = question.interval
    mask: Mask | None = None
    if row.summary.first < start or row.summary.last > end:
        mask = core.overlapping(question.interval)
    if question.place_names is not None:
        here = core.at(question.place_names)
        mask = here if mask is None else mask & here
    if mask is None or mask.any():
        yield Hit(core, EVERY, mask)


def _iso(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
