"""Layouts: how the records of an index lie in a cell.

A layout is an Arrow schema and a zstd dictionary. Each is stored once, in the trusted store, and a cell names its
layout by number. So neither is repeated in every cell, a data set may gain columns, and an old cell opens for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import zstandard
from sqlalchemy import Engine, select

from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.trusted_store.store import layouts, shapes, writing
from privacyplease.proxy.trusted_store.upsert import inserted_once

# Level 1: on pages of a few KiB level 3 takes half as long again for 5 % less.
COMPRESSION_LEVEL = 1

# Of longer pages the dictionary would spare less than 2 %, and take a quarter of the time.
_LONGEST_PRIMED_BYTES = 8 * 1024


class Compressor:
    """Compresses pages: short ones primed with a dictionary. It serves one thread."""

    def __init__(self, primer: zstandard.ZstdCompressionDict, level: int) -> None:
        self._primed = zstandard.ZstdCompressor(level=level, dict_data=primer, write_dict_id=False)
        self._bare = zstandard.ZstdCompressor(level=level)

    def compress(self, batch: pa.RecordBatch) -> bytes:
        """The batch as a zstd frame. Primed or not, a decompressor that has the dictionary reads it."""
        page = batch.serialize()
        return (self._primed if page.size <= _LONGEST_PRIMED_BYTES else self._bare).compress(page)


@dataclass(frozen=True)
class Layout:
    """How records lie in a cell.

    Attributes:
        number: Its number in the index, from 1; 0 for that of roll-ups.
        schema: The columns.
        dictionary: What zstd is primed with for short pages: one blank record of the schema as Arrow writes it, since
            that framing is in every cell. On real WiFi sessions it takes a page of the place index from 346 bytes to
            291 for ten records, and from 146 to 69 for one.
    """

    number: int
    schema: pa.Schema
    dictionary: bytes

    @classmethod
    def make(cls, number: int, schema: pa.Schema) -> Layout:
        """A layout for a schema."""
        blank = pa.RecordBatch.from_arrays([_blank(field.type) for field in schema], schema=schema)
        return cls(number, schema, blank.serialize().to_pybytes())

    @cached_property
    def primer(self) -> zstandard.ZstdCompressionDict:
        """The dictionary as zstd takes it."""
        primer = _raw(self.dictionary)
        primer.precompute_compress(level=COMPRESSION_LEVEL)
        return primer

    def compressor(self, level: int = COMPRESSION_LEVEL) -> Compressor:
        """A compressor for cells of this layout."""
        return Compressor(self.primer if level == COMPRESSION_LEVEL else _raw(self.dictionary), level)

    def decompressor(self) -> zstandard.ZstdDecompressor:
        """A decompressor for cells of this layout. It serves one thread."""
        return zstandard.ZstdDecompressor(dict_data=self.primer)


# That of roll-ups (`rollups.py`), the same for all. Sketches do not compress, so zstd is primed with nothing.
ROLLUP = Layout(0, pa.schema([("place", pa.string()), ("sketch", pa.binary())]), b"")


class Layouts:
    """The layouts of every index. Safe to use from many threads."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self._known: dict[tuple[str, str], dict[int, Layout]] = {}
        self._lock = threading.Lock()

    def settle(self, dataset: Dataset) -> None:
        """Makes sure that what is stored under a data set's definition will be found under it.

        Raises:
            ConfigurationError: The definition was changed in what its tags are made of.
        """
        row = {"dataset": dataset.name, "shape": dataset.shape}
        with writing(self._store) as connection:
            connection.execute(inserted_once(self._store.dialect, shapes), row)
            stored = connection.scalar(select(shapes.c.shape).where(shapes.c.dataset == dataset.name))
        _check_shape(dataset, str(stored))

    def check(self, datasets: Mapping[str, Dataset]) -> None:
        """Checks definitions against what was stored under them, without settling anything.

        Raises:
            ConfigurationError: A definition was changed in what its tags are made of, or a column's type was.
        """
        with self._store.connect() as connection:
            stored = {row.dataset: row.shape for row in connection.execute(select(shapes))}
        for name, dataset in datasets.items():
            _check_shape(dataset, stored.get(name, dataset.shape))
            for index in dataset.indexes.values():
                _check_types(dataset, index, self.known(name, index.name))

    def current(self, dataset: Dataset, index: Index) -> Layout:
        """The layout for new cells: that of the definition, made durable on first use."""
        with self._lock:
            return self._of(lambda _: dataset.carried(index), dataset, index)

    def complete(self, dataset: Dataset, index: Index) -> Layout:
        """The layout for cells that replace others: no column is lost that the definition has dropped."""

        def schema(known: dict[int, Layout]) -> pa.Schema:
            carried = dataset.carried(index)
            stored = {field.name: field for layout in known.values() for field in layout.schema}
            return pa.schema([*carried, *(field for name, field in stored.items() if name not in carried.names)])

        with self._lock:
            return self._of(schema, dataset, index)

    def numbered(self, dataset: str, index: str, number: int) -> Layout:
        """The layout of that number.

        Raises:
            KeyUnavailableError: The trusted store has none, so it is older than the cells.
        """
        if number == ROLLUP.number:
            return ROLLUP
        with self._lock:
            known = self._known.get((dataset, index), {})
            if number not in known:
                known = self._load(dataset, index)
        if number not in known:
            raise KeyUnavailableError(f"the trusted store lacks layout {number} of index {index!r} of {dataset!r}")
        return known[number]

    def known(self, dataset: str, index: str) -> list[Layout]:
        """Every layout of an index, ascending."""
        with self._lock:
            return [layout for _, layout in sorted(self._load(dataset, index).items())]

    def _of(self, choose: Callable[[dict[int, Layout]], pa.Schema], dataset: Dataset, index: Index) -> Layout:
        """The layout of the schema that is chosen by those that there are; it is made unless it is one of them."""
        while True:
            known = self._load(dataset.name, index.name)
            _check_types(dataset, index, known.values())
            schema = choose(known)
            if match := next((layout for layout in known.values() if layout.schema == schema), None):
                return match
            self._add(dataset.name, index.name, Layout.make(max(known, default=0) + 1, schema))

    def _load(self, dataset: str, index: str) -> dict[int, Layout]:
        query = select(layouts).where(layouts.c.dataset == dataset, layouts.c.index_name == index)
        with self._store.connect() as connection:
            rows = connection.execute(query).all()
        known = self._known.setdefault((dataset, index), {})
        for row in rows:
            if row.layout not in known:
                known[row.layout] = Layout(
                    row.layout, pa.ipc.read_schema(pa.py_buffer(row.arrow_schema)), row.dictionary
                )
        return known

    def _add(self, dataset: str, index: str, layout: Layout) -> None:
        """Makes a layout durable, unless another proxy has given its number to one of its own."""
        row = {
            "dataset": dataset,
            "index_name": index,
            "layout": layout.number,
            "arrow_schema": layout.schema.serialize().to_pybytes(),
            "dictionary": layout.dictionary,
        }
        with writing(self._store) as connection:
            connection.execute(inserted_once(self._store.dialect, layouts), row)


def _raw(dictionary: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _blank(kind: pa.DataType) -> pa.Array:
    return pa.array([""] if pa.types.is_string(kind) else [0]).cast(kind)


def _check_types(dataset: Dataset, index: Index, known: Iterable[Layout]) -> None:
    schema = dataset.carried(index)
    stored = {(field.name, field.type) for layout in known for field in layout.schema}
    for name, kind in stored:
        if name in schema.names and schema.field(name).type != kind:
            raise ConfigurationError(
                f"data set {dataset.name!r}, index {index.name!r}: column {name!r} is stored as {kind}; "
                f"got {schema.field(name).type}"
            )


def _check_shape(dataset: Dataset, stored: str) -> None:
    if stored != dataset.shape:
        raise ConfigurationError(
            f"data set {dataset.name!r}: base_width, epoch_days, the roles of columns, the indexes and their bins are "
            f"fixed once data is stored; expected {stored}, got {dataset.shape}"
        )
