"""Which types of Spark a data set's columns may have.

What a type means must not be guessed. Parquet's own durations are unknown to Spark, which reads them as plain integers:
a duration of 60,000 ms would be stored as one of 60,000 s, and nobody would notice. So numbers as durations need a
unit, and times without a zone need a time zone.
"""

from __future__ import annotations

from collections.abc import Mapping

from privacyplease.client import Dataset
from privacyplease.ingest.errors import LayoutError
from privacyplease.ingest.spark.options import SinkOptions

__all__ = ["LOCAL_TIME", "NUMBERS", "require_columns"]

_INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
NUMBERS = _INTEGERS | {"float", "double"}
"""Types of numbers, by their names in Spark."""

LOCAL_TIME = "timestamp_ntz"
"""The type of times without a zone."""

_INTERVAL = "interval "  # "interval day to second", "interval minute", …: Spark's durations of days and less
_LONG_INTERVALS = ("year", "month")

_ACCEPTED = {
    "mac": {"string", "bigint"},
    "string": {"string", "boolean", *_INTEGERS},
    "timestamp": {"string", "timestamp", LOCAL_TIME},
    "duration": {"string", *NUMBERS},
    "int": {"string", *NUMBERS},
    "float": {"string", *NUMBERS},
    "bool": {"string", "boolean"},
}


def require_columns(types: Mapping[str, str], dataset: Dataset, options: SinkOptions) -> None:
    """Makes sure that rows with the given columns can be read as records.

    Args:
        types: The type of each column, by its name in Spark (`df.dtypes`).
        dataset: The definition of the data set.
        options: The unit of durations, and the time zone.

    Raises:
        LayoutError: A column is missing, unknown, or of a type that would have to be guessed or cast.
    """
    kinds = {column.name: column.type for column in dataset.columns}
    required = (dataset.subject, dataset.place, dataset.start, dataset.duration)
    if missing := [name for name in required if name not in types]:
        raise LayoutError(f"expected the columns {', '.join(required)} of {dataset.name!r}, got no {missing[0]!r}")
    for name, kind in types.items():
        if name not in kinds:
            raise LayoutError(f"expected columns of {dataset.name!r}, got {name!r}: rename it, or leave it out")
        _require_type(name, kind, kinds[name], options)


def _require_type(name: str, given: str, kind: str, options: SinkOptions) -> None:
    if kind == "duration" and given.startswith(_INTERVAL) and not any(unit in given for unit in _LONG_INTERVALS):
        return
    if given not in _ACCEPTED[kind]:
        expected = ", ".join(sorted(_ACCEPTED[kind]))
        raise LayoutError(f"expected {name!r} to be of the type {expected}; got {given}: cast it")
    if kind == "duration" and given in NUMBERS and options.duration_unit is None:
        raise LayoutError(f"expected the option durationUnit for {name!r}, which is {given}: s, ms, us or ns")
    if given == LOCAL_TIME and not options.timezone:
        raise LayoutError(f"expected the option timezone for {name!r}, whose times have no zone")
