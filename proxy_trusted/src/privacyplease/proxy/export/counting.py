"""A proxy on an exported keyring: counts people in one interval, and does nothing else.

It has no digests, so it takes a cell for genuine if it opens under the cell key and for its own tag: none was changed
or moved. Whoever has the same keyring could have sealed it; the proxy that exported it could not be deceived so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from privacyplease.proxy.errors import (
    CellDamagedError,
    CellsMissingError,
    ConfigurationError,
    NotExportedError,
    PredicateTooLargeError,
)
from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.export.keyring_file import Export
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


def over(
    file: Path, passphrase: str | None, storage: StorageClient, most_tags: int, memory: CellCache
) -> ExportedSearch:
    """What a proxy on an exported keyring asks.

    Args:
        file: The keyring.
        passphrase: What opens it.
        storage: The storage server.
        most_tags: Tags that one question may touch.
        memory: The cells that need not be fetched.

    Raises:
        ConfigurationError: The file is not an exported keyring.
        WrongPassphraseError: The passphrase does not open it.
    """
    if passphrase is None:
        raise ConfigurationError("expected the exported keyring's passphrase; give it by PRIVACYPLEASE_PASSPHRASE")
    return ExportedSearch(keyring_file.load(file, passphrase), storage, most_tags, memory)


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

    @property
    def dataset(self) -> Dataset:
        """The one data set that can be asked about."""
        return self._export.dataset

    @contextmanager
    def ask(self, question: Question) -> Iterator[SearchResult]:
        """Answers for as long as the block lasts, without roll-ups.

        Raises:
            NotExportedError: The question reaches beyond what was exported.
            PredicateTooLargeError: It touches too much.
            UntrustedAnswerError: The server's answer is not what was stored; raised while hits are taken, too.
            StorageError: The server did not answer; likewise.
        """
        self._check(question)
        rows = self._view.overlapping(question.fetched)
        if len(rows) > self._most_tags:
            message = f"the question touches {len(rows):,} cells; at most {self._most_tags:,} may be asked for"
            raise PredicateTooLargeError(message, tags=len(rows), limit=self._most_tags)
        yield SearchResult([], self._hits(question, rows))

    def _check(self, question: Question) -> None:
        allowed = self._export.interval
        if question.dataset.name != self.dataset.name or question.columns or question.subjects is not None:
            raise NotExportedError("expected a count of people: the keyring was exported for nothing else")
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
        """The tag of the core of each segment."""
        found = {}
        for row in rows:
            (tag,) = groups.tags(self._export.keys[row.key].tag, Group.CORE, [row.number])
            found[tag] = row
        return found

    def _fetch(self, wanted: Mapping[Tag, ManifestRow]) -> dict[Tag, CachedCell]:
        """The wanted cells, all of them, each of its size; whether it is genuine shows when it is opened."""
        came = self._storage.select(wanted) if wanted else {}
        if missing := len(wanted.keys() - came.keys()):
            raise CellsMissingError(f"the storage server withheld cells; {CHANGED}", cells=missing)
        if damaged := sum(1 for tag, row in wanted.items() if len(came[tag]) != row.size):
            raise CellDamagedError(
                "the storage server sent cells that differ from those that were stored", cells=damaged
            )
        return {tag: CachedCell((row.dataset, row.key), row.size, came[tag]) for tag, row in wanted.items()}

    def _core(self, row: ManifestRow, tag: Tag, cell: CachedCell) -> Core:
        core = cell.opened(Core, partial(self._open, row, tag))
        if len(core) != row.summary.records:
            raise CellDamagedError("a cell has not as many records as when the keyring was exported", cells=1)
        return core

    def _open(self, row: ManifestRow, tag: Tag, sealed: Sealed) -> pa.RecordBatch:
        return Opener(self._export.keys[row.key].cell).open(sealed, CellContext(row.dataset, Group.CORE, tag))


def _chosen(core: Core, row: ManifestRow, question: Question) -> Iterator[Hit]:
    """The records of a segment that belong to a question, if there are any."""
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
