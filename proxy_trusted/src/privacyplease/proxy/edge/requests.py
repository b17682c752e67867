"""Request fields, read and checked: one function for each kind of field."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import pyarrow as pa
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.errors import (
    InvalidIntervalError,
    InvalidRequestError,
    MalformedSubjectError,
    UnknownDatasetError,
)
from privacyplease.proxy.records.columns import read_one
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import MOST_TEXT_BYTES, TOO_WIDE, Sought
from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval, Steps
from privacyplease.proxy.v1 import occupancy_service_pb2, types_pb2

DEFAULT_DATASET = "wifi"
DEFAULT_STATIONS = "bikes"
MOST_STEPS = 100_000
MOST_CHARACTERS = 500
MOST_PLACES = 4_096
MOST_GROUPED_PLACES = 65_536
MOST_BOUNDS = 100
MOST_DURATION_SECONDS = 315_576_000_000  # google/protobuf/duration.proto


def dataset(name: str, known: dict[str, Dataset]) -> Dataset:
    """The data set of that name.

    Raises:
        UnknownDatasetError: No such data set is defined.
    """
    if name not in known:
        names = ", ".join(known)
        raise UnknownDatasetError(f"no such data set; expected one of {names}", field="dataset", known=names)
    return known[name]


def interval(message: types_pb2.Interval) -> Interval:
    """The interval in ms, both ends included.

    Raises:
        InvalidIntervalError: An end is missing or out of bounds, or they are reversed.
    """
    start, end = _end(message, "start"), _end(message, "end")
    if start > end:
        raise InvalidIntervalError("expected an interval that does not end before it starts", field="interval")
    return Interval(start, end)


def steps(when: Interval, width: Duration) -> Steps:
    """The interval cut into steps.

    Raises:
        InvalidRequestError: The width is not positive, or there would be too many steps.
    """
    width_ms = millis(width, "step")
    if width_ms < 1:
        raise InvalidRequestError("expected a step of at least 1 ms", field="step")
    cut = Steps(when, min(width_ms, LATEST))  # no interval is longer
    if cut.number > MOST_STEPS:
        raise InvalidRequestError(f"expected at most {MOST_STEPS:,} steps, got {cut.number:,}", field="step")
    return cut


def key(value: str, column: str, dataset: Dataset, field: str) -> pa.Scalar:
    """The stored value of a subject or a place.

    Raises:
        MalformedSubjectError: The text cannot be read as the column's type, or is longer than a record's may be.
    """
    kind = dataset.columns[column]
    stored = read_one(recordable(value, field), kind)
    if not value or not stored.is_valid:
        raise MalformedSubjectError(kind.expected, field=field, expected=kind.value)
    return stored


def recordable(text: str, field: str) -> str:
    """The text, if it is no longer than a record's may be.

    Raises:
        MalformedSubjectError: The text is too long.
    """
    if len(text.encode()) > MOST_TEXT_BYTES:
        raise MalformedSubjectError(TOO_WIDE, field=field)
    return text


def optional_key(value: str, column: str, dataset: Dataset, field: str) -> pa.Scalar | None:
    """As `key`; None if no value is given."""
    return key(value, column, dataset, field) if value else None


def places(names: Sequence[str], dataset: Dataset, place: str = "") -> Sought:
    """The stored values of one place, or of several; None if no place is given.

    Raises:
        InvalidRequestError: There are too many places, or both fields are set.
        MalformedSubjectError: A name is empty or too long.
    """
    if not names:
        return optional_key(place, dataset.place, dataset, "place")
    if place:
        raise InvalidRequestError("expected place or places, got both", field="places")
    if len(names) > MOST_PLACES:
        raise InvalidRequestError(f"expected at most {MOST_PLACES:,} places, got {len(names):,}", field="places")
    if not all(names):
        raise MalformedSubjectError("expected the name of a place, got none", field="places")
    stored = dataset.columns[dataset.place].stored
    return pa.array(sorted({recordable(name, "places") for name in names}), stored)


def groups(messages: Sequence[occupancy_service_pb2.PlaceGroup]) -> dict[str, str]:
    """The group's name for each place that is in a group.

    Raises:
        InvalidRequestError: There are too many groups or places, a group lacks a name, or a place is in two groups.
        MalformedSubjectError: A name is too long.
    """
    if len(messages) > MOST_PLACES:
        raise InvalidRequestError(f"expected at most {MOST_PLACES:,} groups, got {len(messages):,}", field="groups")
    if (number := sum(len(group.places) for group in messages)) > MOST_GROUPED_PLACES:
        message = f"expected at most {MOST_GROUPED_PLACES:,} places, got {number:,}"
        raise InvalidRequestError(message, field="groups.places")
    group_of: dict[str, str] = {}
    for group in messages:
        if not recordable(group.name, "groups.name"):
            raise InvalidRequestError("expected the name of a group, got none", field="groups.name")
        for place in group.places:
            if group_of.setdefault(recordable(place, "groups.places"), group.name) != group.name:
                raise InvalidRequestError("expected each place in at most one group", field="groups.places")
    return group_of


def bounds(widths: Sequence[Duration]) -> list[int]:
    """Where the classes of length begin, in ms.

    Raises:
        InvalidRequestError: There are too many bounds, or they are not positive and ascending.
    """
    if len(widths) > MOST_BOUNDS:
        raise InvalidRequestError(f"expected at most {MOST_BOUNDS} bounds, got {len(widths):,}", field="bounds")
    bounds_ms = [millis(width, "bounds") for width in widths]
    if any(high <= low for low, high in pairwise([0, *bounds_ms])):
        raise InvalidRequestError("expected bounds that are positive and ascending", field="bounds")
    return bounds_ms


def millis(width: Duration, field: str) -> int:
    """A duration in ms; finer digits are truncated.

    Raises:
        InvalidRequestError: The duration is negative, or outside the range of `google.protobuf.Duration`.
    """
    if not (0 <= width.seconds <= MOST_DURATION_SECONDS and 0 <= width.nanos < 1_000_000_000):
        message = f"expected a duration of 0 to {MOST_DURATION_SECONDS:,} s and less than 1,000,000,000 ns"
        raise InvalidRequestError(message, field=field)
    return width.seconds * 1_000 + width.nanos // 1_000_000


def purpose(text: str) -> str:
    """The stated purpose, without surrounding whitespace.

    Raises:
        InvalidRequestError: The text is too long.
    """
    return short(text, "purpose").strip()


def short(text: str, field: str) -> str:
    """The text, if it has at most 500 characters.

    Raises:
        InvalidRequestError: The text is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidRequestError(f"expected at most {MOST_CHARACTERS} characters, got {len(text):,}", field=field)
    return text


def instant(stamp: Timestamp, field: str) -> int:
    """A time in ms.

    Raises:
        InvalidIntervalError: The time is out of bounds.
    """
    time_ms = stamp.seconds * 1_000 + stamp.nanos // 1_000_000
    if not (EARLIEST <= time_ms <= LATEST and 0 <= stamp.nanos < 1_000_000_000):
        raise InvalidIntervalError("expected a time from 1970 to 9999", field=field)
    return time_ms


def _end(message: types_pb2.Interval, end: Literal["start", "end"]) -> int:
    if not message.HasField(end):
        raise InvalidIntervalError(f"expected a time in interval.{end}, got none", field=f"interval.{end}")
    return instant(getattr(message, end), f"interval.{end}")
