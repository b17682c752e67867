"""What clients send, read and checked; one function for each kind of field."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.columns import read
from privacyplease.proxy.dataset import Dataset, Index
from privacyplease.proxy.errors import (
    InvalidIntervalError,
    InvalidRequestError,
    MalformedSubjectError,
    UnknownDatasetError,
)
from privacyplease.proxy.occupancy import Steps
from privacyplease.proxy.timeline import EARLIEST, LATEST, Interval
from privacyplease.proxy.v1 import types_pb2

DEFAULT_DATASET = "wifi"
DEFAULT_STATIONS = "bikes"
MOST_STEPS = 100_000
MOST_PURPOSE_CHARACTERS = 500


def dataset(name: str, known: dict[str, Dataset]) -> Dataset:
    """The data set of that name.

    Raises:
        UnknownDatasetError: None is defined.
    """
    if name not in known:
        names = ", ".join(known)
        raise UnknownDatasetError(f"no such data set; expected one of {names}", field="dataset", known=names)
    return known[name]


def index(name: str, of: Dataset) -> Index:
    """The index that a service answers from.

    Raises:
        UnknownDatasetError: The data set lacks it, so it cannot answer the service's questions.
    """
    if name not in of.indexes:
        raise UnknownDatasetError(
            f"data set {of.name!r} cannot answer this: it has no index by {name}", field="dataset"
        )
    return of.indexes[name]


def interval(given: types_pb2.Interval) -> Interval:
    """The interval in ms, both ends included.

    Raises:
        InvalidIntervalError: An end is missing or out of bounds, or they are reversed.
    """
    start, end = _end(given, "start"), _end(given, "end")
    if start > end:
        raise InvalidIntervalError("expected an interval that ends no earlier than it starts", field="interval")
    return Interval(start, end)


def steps(when: Interval, width: Duration) -> Steps:
    """The interval cut into steps.

    Raises:
        InvalidRequestError: The width is not positive, or there would be too many steps.
    """
    millis = width.seconds * 1_000 + width.nanos // 1_000_000
    if millis < 1:
        raise InvalidRequestError("expected a step of at least 1 ms", field="step")
    cut = Steps(when, min(millis, LATEST))  # no interval is longer
    if cut.number > MOST_STEPS:
        raise InvalidRequestError(f"expected at most {MOST_STEPS:,} steps, got {cut.number:,}", field="step")
    return cut


def key(value: str, column: str, of: Dataset, field: str) -> pa.Scalar:
    """The stored value of an index's key.

    Raises:
        MalformedSubjectError: The text does not read as the column's type.
    """
    kind = of.columns[column]
    stored = read(pa.array([value], pa.string()), kind).values[0]
    if not value or not stored.is_valid:
        raise MalformedSubjectError(kind.expected, field=field, expected=kind.value)
    return stored


def optional_key(value: str, column: str, of: Dataset, field: str) -> pa.Scalar | None:
    """As `key`; None where no value is given."""
    return key(value, column, of, field) if value else None


def purpose(text: str) -> str:
    """The stated purpose, without blanks around it.

    Raises:
        InvalidRequestError: It is too long.
    """
    if len(text) > MOST_PURPOSE_CHARACTERS:
        raise InvalidRequestError(f"expected at most {MOST_PURPOSE_CHARACTERS} characters", field="purpose")
    return text.strip()


def instant(at: Timestamp, field: str) -> int:
    """A time in ms.

    Raises:
        InvalidIntervalError: It is out of bounds.
    """
    millis = at.seconds * 1_000 + at.nanos // 1_000_000
    if not (EARLIEST <= millis <= LATEST and 0 <= at.nanos < 1_000_000_000):
        raise InvalidIntervalError("expected a time from 1970 to 9999", field=field)
    return millis


def _end(given: types_pb2.Interval, end: Literal["start", "end"]) -> int:
    if not given.HasField(end):
        raise InvalidIntervalError(f"expected a time in interval.{end}, got none", field=f"interval.{end}")
    return instant(getattr(given, end), f"interval.{end}")
