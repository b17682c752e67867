"""Data sets as their definitions describe them.

A definition is a TOML file: the columns with their types, which of them is subject, place, start and duration, and the
indexes. `datasets/wifi.toml` is one to start from; see `docs/DATASETS.md`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pyarrow as pa

from privacyplease.proxy.errors import ConfigurationError, UnknownColumnError
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.records.timeline import Timeline

SUBJECT = "subject"
PLACE = "place"

MOST_BINS = 65_536
MOST_NAME_CHARACTERS = 63
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MOST_NAME_CHARACTERS - 1}}}")
_WIDTH = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_ROLES = {"place": ColumnType.STRING, "start": ColumnType.TIMESTAMP, "duration": ColumnType.DURATION}


@dataclass(frozen=True)
class Index:
    """A copy of the records, ordered for one kind of question.

    Attributes:
        name: "subject" or "place".
        key: The column whose value chooses the bin.
        bins: How many bins share the keys.
        columns: What the copy carries, in order; always subject, place, start and duration among them.
        hide_volume: Whether all bins of a run look equally full.
    """

    name: str
    key: str
    bins: int
    columns: tuple[str, ...]
    hide_volume: bool = True


@dataclass(frozen=True)
class Dataset:
    """A data set's definition.

    Attributes:
        name: Its name.
        title: What it holds, in a line.
        columns: The type of each column, in order.
        subject: The column that says who.
        place: The column that says where.
        start: The column with the first instant.
        duration: The column that says for how long.
        location: The column that says where its place lies, as "campus > building > floor"; None if there is none.
        timeline: How it divides time.
        indexes: Its indexes by name.
        retain: For how long its records are kept, in ms; None for ever.
    """

    name: str
    title: str
    columns: dict[str, ColumnType]
    subject: str
    place: str
    start: str
    duration: str
    timeline: Timeline
    indexes: dict[str, Index]
    location: str | None = None
    retain: int | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """The columns that tell a record from others: who, where, from when."""
        return self.subject, self.place, self.start

    @property
    def required(self) -> tuple[str, str, str, str]:
        """The columns that no record may lack."""
        return (*self.identity, self.duration)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns as they are stored."""
        return pa.schema([pa.field(name, column.stored) for name, column in self.columns.items()])

    @property
    def shape(self) -> str:
        """What its tags are made of, as text. It may not change once there is data."""
        indexes = {index.name: [index.key, index.bins] for index in self.indexes.values()}
        parts = {
            "base": self.timeline.base,
            "epoch": self.timeline.epoch,
            "indexes": indexes,
            "record": self.required,
        }
        return json.dumps(parts, sort_keys=True)

    def carried(self, index: Index) -> pa.Schema:
        """The columns that an index carries, as they are stored."""
        return pa.schema([self.schema.field(name) for name in index.columns])

    def index(self, name: str) -> Index:
        """The index of that name.

        Raises:
            UnknownColumnError: There is none.
        """
        if name not in self.indexes:
            known = ", ".join(self.indexes)
            raise UnknownColumnError(f"data set {self.name!r} has no such index; it has {known}", field="index")
        return self.indexes[name]


def load(folder: Path | None = None) -> dict[str, Dataset]:
    """The data sets that ship and those defined in a folder, by name. One of the folder replaces one that ships.

    Raises:
        ConfigurationError: A definition is wrong; the message names the file and the entry.
    """
    shipped = resources.files("privacyplease.proxy.records").joinpath("datasets").iterdir()
    own = sorted(folder.glob("*.toml")) if folder and folder.is_dir() else []
    return {**_by_name(_definitions(shipped)), **_by_name(own)}


def parse(text: str) -> Dataset:
    """Reads a definition.

    Raises:
        ConfigurationError: It is wrong; the message names the entry.
    """
    try:
        return _dataset(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not TOML: {error}") from error


def width(entry: str, text: str) -> int:
    """A width of time in ms, as "1h".

    Raises:
        ConfigurationError: It is none; the message names the entry.
    """
    match = _WIDTH.fullmatch(text)
    if not match:
        raise ConfigurationError(f'{entry}: expected a width such as "1h", got {text!r}')
    return int(match[1]) * (_UNITS[match[2]] // timedelta(milliseconds=1))


def _by_name(files: Iterable[Traversable]) -> dict[str, Dataset]:
    datasets: dict[str, Dataset] = {}
    for file in files:
        dataset = _read(file)
        if dataset.name in datasets:
            raise ConfigurationError(f"{file}: expected a name of its own, got {dataset.name!r} again")
        datasets[dataset.name] = dataset
    return datasets


def _definitions(files: Iterable[Traversable]) -> list[Traversable]:
    return sorted((file for file in files if file.name.endswith(".toml")), key=lambda file: file.name)


def _read(file: Traversable) -> Dataset:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _dataset(entries: dict[str, Any]) -> Dataset:
    columns = {name: _column_type(name, kind) for name, kind in _take(entries, "columns", dict).items()}
    roles = {role: _role(entries, role, columns) for role in ("subject", *_ROLES)}
    if len(set(roles.values())) < len(roles):
        raise ConfigurationError("subject, place, start and duration: expected four different columns")
    hide_volume = _take(entries, "hide_volume", bool) if "hide_volume" in entries else True
    dataset = Dataset(
        name=_name("name", _take(entries, "name", str)),
        title=_take(entries, "title", str),
        columns=columns,
        timeline=Timeline(base=width("base_width", _take(entries, "base_width", str)), epoch=_epoch(entries)),
        indexes=_indexes(_take(entries, "indexes", dict), columns, roles, hide_volume),
        location=_location(entries, columns),
        retain=width("retain", _take(entries, "retain", str)) if "retain" in entries else None,
        **roles,
    )
    if entries:
        raise ConfigurationError(f"{next(iter(entries))}: no such entry")
    return dataset


def _take(entries: dict[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401  # TOML's values
    value = entries.pop(name, None)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise ConfigurationError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _name(entry: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{entry}: expected lower-case letters, digits and _, at most 63, got {name!r}")
    return name


def _column_type(name: str, kind: object) -> ColumnType:
    _name("columns", name)
    try:
        return ColumnType(str(kind))
    except ValueError as error:
        known = ", ".join(ColumnType)
        raise ConfigurationError(f"columns.{name}: expected one of {known}, got {kind!r}") from error


def _role(entries: dict[str, Any], role: str, columns: dict[str, ColumnType]) -> str:
    column: str = _take(entries, role, str)
    if column not in columns:
        raise ConfigurationError(f"{role}: expected a column, got {column!r}")
    expected = (_ROLES[role],) if role in _ROLES else (ColumnType.MAC, ColumnType.STRING)
    if columns[column] not in expected:
        raise ConfigurationError(f"{role}: expected a column of type {' or '.join(expected)}, got {columns[column]}")
    return column


def _location(entries: dict[str, Any], columns: dict[str, ColumnType]) -> str | None:
    if "location" not in entries:
        return None
    column: str = _take(entries, "location", str)
    if columns.get(column) is not ColumnType.STRING:
        raise ConfigurationError(f"location: expected a column of type string, got {column!r}")
    return column


def _epoch(entries: dict[str, Any]) -> int:
    days = _take(entries, "epoch_days", int)
    if not 1 <= days <= 3_660:
        raise ConfigurationError(f"epoch_days: expected 1 to 3660, got {days}")
    return int(days * (_UNITS["d"] // timedelta(milliseconds=1)))


def _indexes(
    entries: dict[str, Any], columns: dict[str, ColumnType], roles: dict[str, str], hide_volume: bool
) -> dict[str, Index]:
    unknown = set(entries) - {SUBJECT, PLACE}
    if unknown or not entries:
        raise ConfigurationError(f"indexes: expected {SUBJECT}, {PLACE} or both, got {', '.join(sorted(unknown))!r}")
    return {name: _index(name, entry, columns, roles, hide_volume) for name, entry in entries.items()}


def _index(name: str, entry: object, columns: dict[str, ColumnType], roles: dict[str, str], hide_volume: bool) -> Index:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"indexes.{name}: expected a table, got {type(entry).__name__}")
    bins, carried = entry.get("bins"), entry.get("columns", list(columns))
    hidden = entry.get("hide_volume", hide_volume)
    if set(entry) - {"bins", "columns", "hide_volume"}:
        raise ConfigurationError(f"indexes.{name}: expected bins, columns and hide_volume alone")
    if not isinstance(hidden, bool):
        raise ConfigurationError(f"indexes.{name}.hide_volume: expected true or false, got {hidden!r}")
    if not isinstance(bins, int) or isinstance(bins, bool) or not 1 <= bins <= MOST_BINS:
        raise ConfigurationError(f"indexes.{name}.bins: expected 1 to {MOST_BINS}, got {bins!r}")
    if not isinstance(carried, list) or not all(column in columns for column in map(str, carried)):
        raise ConfigurationError(f"indexes.{name}.columns: expected names of columns, got {carried!r}")
    if len(set(carried)) < len(carried):
        raise ConfigurationError(f"indexes.{name}.columns: expected each column once")
    if missing := set(roles.values()) - set(carried):
        raise ConfigurationError(f"indexes.{name}.columns: expected {', '.join(sorted(missing))} among them")
    return Index(name=name, key=roles[name], bins=bins, columns=tuple(carried), hide_volume=hidden)
