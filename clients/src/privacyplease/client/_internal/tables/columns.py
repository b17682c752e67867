"""Columns of results as Arrow arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pyarrow as pa

_INSTANT = pa.timestamp("ms", tz="UTC")


def texts(values: Iterable[str]) -> pa.Array[Any]:
    """string[n]."""
    return pa.array(values, pa.string())


def instants(values_ms: Iterable[int]) -> pa.Array[Any]:
    """timestamp[ms, UTC][n] from int64[n], ms since the epoch, UTC."""
    return pa.array(values_ms, pa.int64()).cast(_INSTANT)


def counts(values: Iterable[int | None]) -> pa.Array[Any]:
    """int64[n]."""
    return pa.array(values, pa.int64())


def durations(values: Iterable[timedelta]) -> pa.Array[Any]:
    """duration[ms][n]."""
    return pa.array(values, pa.duration("ms"))


def numbers(values: Iterable[float | None]) -> pa.Array[Any]:
    """float64[n]."""
    return pa.array(values, pa.float64())


def table(columns: Mapping[str, pa.Array[Any]]) -> pa.Table:
    """Columns of one length as a table."""
    return pa.table(dict(columns))
