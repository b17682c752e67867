"""Data sets and their definitions.

A definition is a TOML file: the columns with their types, which of them are subject, place, start and duration, and how
much room a record gets. `datasets/wifi.toml` is an example to start from; see `docs/DATASETS.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pyarrow as pa

from privacyplease.proxy.documents import from_toml
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records.budget import Budget
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.records.timeline import Millis
from privacyplease.transport.arrow_messages import MOST_COLUMNS

MOST_NAME_CHARACTERS = 63

# The columns that make a data set one of bike stations, whose records concern no person.
BIKES = "available_bikes"
STANDS = "available_bike_stands"

# Sealed bytes per record in a full cell: measured on real WiFi sessions, with a margin.
DEFAULT_BYTES = {"core": 8.0, "rest": 8.0, "rollup": 1.0}
BYTES_PER_OTHER_COLUMN = 1.0
MOST_BYTES_PER_RECORD = 1_024
# No cell is smaller, so cells of a few records all look alike. Each column outside the core is named in its cell.
LEAST_CELL_BYTES = 1_024
ROOM_PER_COLUMN = 128

DEFAULT_COVER_RECORDS = 256
MOST_COVER_RECORDS = 65_536

_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MOST_NAME_CHARACTERS - 1}}}")
_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_ROLES = {"place": ColumnType.STRING, "start": ColumnType.TIMESTAMP, "duration": ColumnType.DURATION}


@dataclass(frozen=True)
class Dataset:
    """A data set's definition.

    Attributes:
        name: Its name.
        title: A one-line description.
        columns: The type of each column, in order.
        subject: The column with the subject.
        place: The column with the place.
        start: The column with the first instant.
        duration: The column with the duration.
        location: The column with the place's location, as "campus > building > floor"; None if there is none.
        epoch: Width in ms of an epoch, the period of event time that has its own keys.
        budgets: How much room the cells of each group of columns get, by the group's name.
        retain: How long records are kept, in ms; None for ever.
        cover: The interval in ms at which something is sent to the storage server, records or not; None to send
            whenever records arrive.
        cover_records: How many records each of these flushes appears to hold.
        whole_days: Whether questions are widened to whole days, UTC.
    """

    name: str
    title: str
    columns: dict[str, ColumnType]
    subject: str
    place: str
    start: str
    duration: str
    epoch: int
    budgets: dict[str, Budget]
    location: str | None = None
    retain: int | None = None
    cover: int | None = None
    cover_records: int = DEFAULT_COVER_RECORDS
    whole_days: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """The columns that identify a record: subject, place, start."""
        return self.subject, self.place, self.start

    @property
    def required(self) -> tuple[str, str, str, str]:
        """The columns that no record may lack."""
        return (*self.identity, self.duration)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns in stored form."""
        return pa.schema([pa.field(name, column.stored) for name, column in self.columns.items()])

    @property
    def shape(self) -> dict[str, object]:
        """The part of the definition that cannot change once there is data."""
        return {"epoch": self.epoch, "record": list(self.required)}

    @property
    def others(self) -> list[str]:
        """The columns that a record may lack, in order."""
        return [name for name in self.columns if name not in self.required]

    @property
    def is_stations(self) -> bool:
        """Whether its subjects are bike stations rather than persons."""
        return {BIKES, STANDS} <= set(self.columns)

    def epochs(self, starts: Millis) -> Millis:
        """The epoch of each start (int64[n], ms)."""
        return starts // self.epoch


def load(folder: Path | None = None) -> dict[str, Dataset]:
    """The shipped data sets and those defined in a folder, by name. A definition in the folder takes precedence.

    Raises:
        ConfigurationError: A definition is wrong; the message names the file and the entry.
    """
    shipped = resources.files("privacyplease.proxy.records").joinpath("datasets").iterdir()
    own = sorted(folder.glob("*.toml")) if folder and folder.is_dir() else []
    return {**_by_name(_definitions(shipped)), **_by_name(own)}


def parse(text: str) -> Dataset:
    """Reads a definition.

    Raises:
        ConfigurationError: The definition is wrong; the message names the entry.
    """
    try:
        entries = from_toml(text)
    except ValueError as error:
        raise ConfigurationError(f"not TOML: {error}") from error
    return _dataset(entries)


def width(entry: str, text: str) -> int:
    """A length of time, written as "1h", in ms.

    Raises:
        ConfigurationError: The text has another form; the message names the entry.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ConfigurationError(f'{entry}: expected a duration such as "1h", got {text!r}')
    return int(match[1]) * (_UNITS[match[2]] // timedelta(milliseconds=1))


def _by_name(files: Iterable[Traversable]) -> dict[str, Dataset]:
    datasets: dict[str, Dataset] = {}
    for file in files:
        dataset = _read(file)
        if dataset.name in datasets:
            raise ConfigurationError(f"{file}: expected a unique name, got {dataset.name!r} a second time")
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
    _refuse_older(entries)
    columns = {name: _column_type(name, kind) for name, kind in _take(entries, "columns", dict).items()}
    if len(columns) > MOST_COLUMNS:
        raise ConfigurationError(f"columns: expected at most {MOST_COLUMNS}, got {len(columns):,}")
    roles = {role: _role(entries, role, columns) for role in ("subject", *_ROLES)}
    if len(set(roles.values())) < len(roles):
        raise ConfigurationError("subject, place, start and duration: expected four different columns")
    dataset = Dataset(
        name=_name("name", _take(entries, "name", str)),
        title=_take(entries, "title", str),
        columns=columns,
        epoch=_epoch(entries),
        budgets=_budgets(entries.pop("bytes_per_record", {}), len(columns) - len(roles)),
        location=_location(entries, columns),
        retain=_width(entries, "retain"),
        cover=_width(entries, "cover"),
        cover_records=_cover_records(entries),
        whole_days=_whole_days(entries),
        **roles,
    )
    if entries:
        raise ConfigurationError(f"{next(iter(entries))}: no such entry")
    return dataset


def _refuse_older(entries: dict[str, Any]) -> None:
    older = ("base_width", "indexes", "hide_volume")
    if obsolete := next((name for name in older if name in entries), None):
        raise ConfigurationError(f"{obsolete}: no longer supported, since there are no indexes; remove the entry")


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


def _budgets(table: object, others: int) -> dict[str, Budget]:
    """How much room each group's cells get. Each column outside the core adds room for its name and type."""
    if not isinstance(table, dict) or set(table) - set(DEFAULT_BYTES):
        raise ConfigurationError(f"bytes_per_record: expected a table of {', '.join(DEFAULT_BYTES)}")
    for group, each in table.items():
        if isinstance(each, bool) or not isinstance(each, int | float) or not 0 < each <= MOST_BYTES_PER_RECORD:
            raise ConfigurationError(
                f"bytes_per_record.{group}: expected more than 0 and at most {MOST_BYTES_PER_RECORD}, got {each!r}"
            )
    room = {"core": LEAST_CELL_BYTES, "rest": LEAST_CELL_BYTES + ROOM_PER_COLUMN * others, "rollup": LEAST_CELL_BYTES}
    defaults = DEFAULT_BYTES | {"rest": max(1.0, BYTES_PER_OTHER_COLUMN * others)}
    return {group: Budget(room[group], float(table.get(group, defaults[group]))) for group in DEFAULT_BYTES}


def _width(entries: dict[str, Any], name: str) -> int | None:
    return width(name, _take(entries, name, str)) if name in entries else None


def _cover_records(entries: dict[str, Any]) -> int:
    if "cover_records" not in entries:
        return DEFAULT_COVER_RECORDS
    records: int = _take(entries, "cover_records", int)
    if not 1 <= records <= MOST_COVER_RECORDS:
        raise ConfigurationError(f"cover_records: expected 1 to {MOST_COVER_RECORDS:,}, got {records:,}")
    return records


def _whole_days(entries: dict[str, Any]) -> bool:
    if "prefetch" not in entries:
        return False
    if (extent := _take(entries, "prefetch", str)) != "day":
        raise ConfigurationError(f'prefetch: expected "day", got {extent!r}')
    return True
