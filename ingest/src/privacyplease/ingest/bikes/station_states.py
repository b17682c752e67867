"""Turns the fields of messages into the columns of data set `bikes`: pure, over whole columns."""

from datetime import datetime, timedelta
from typing import NamedTuple, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.client import StationState
from privacyplease.ingest.bikes.message_format import FIELDS, POSITION
from privacyplease.ingest.bikes.validation import MessageFault

__all__ = ["SCHEMA", "InvalidMessages", "invalid_messages", "states"]

_LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z in ms
_REQUIRED = ("contract", "number", "polled_at")
_MISSING = "expected a value, got none"
_OUT_OF_RANGE = "expected a time from 1970 to 9999, in ms"

Mask = npt.NDArray[np.bool_]

_TYPES: dict[object, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("ms", tz="UTC"),
    timedelta: pa.duration("ms"),
}
_TYPES |= {kind | None: arrow for kind, arrow in _TYPES.items()}  # type: ignore[operator]

SCHEMA = pa.schema({name: _TYPES[kind] for name, kind in get_type_hints(StationState).items()})
"""The columns of data set `bikes`: the SDK's `StationState`. All but the first four may be null."""


class InvalidMessages(NamedTuple):
    """Which of n messages have a fault: `mask` is bool[n]."""

    mask: Mask
    fault: MessageFault


def invalid_messages(fields: pa.Table) -> list[InvalidMessages]:
    """The messages that were parsed but are not a state: they have no identity, or a time or position out of range."""
    missing = [InvalidMessages(_mask(_is_missing(fields[name])), MessageFault(name, _MISSING)) for name in _REQUIRED]
    slash = pc.match_substring(fields["contract"], "/")
    times = [
        InvalidMessages(_mask(_is_out_of_range(fields[name])), MessageFault(name, _OUT_OF_RANGE))
        for name in ("last_update", "polled_at")
    ]
    infinite = [pc.invert(pc.is_finite(each)) for each in _position(fields)]
    return [
        *missing,
        InvalidMessages(_mask(slash), MessageFault("contract", 'expected a name without "/"')),
        InvalidMessages(_mask(pc.or_kleene(*infinite)), MessageFault("position", FIELDS["position"].expected)),
        *times,
    ]


def states(fields: pa.Table) -> pa.Table:
    """The states in valid messages.

    A state starts when its station reported it, or when it was polled if the report has no time. Its duration runs
    until the poll that showed it. So a report that is polled again is the same record with a longer duration, which
    replaces the shorter one.
    """
    polled = fields["polled_at"]
    since = pc.coalesce(fields["last_update"], polled)
    contract = _folded(fields["contract"])
    latitude, longitude = _position(fields)
    derived = {
        "station": pc.binary_join_element_wise(contract, fields["number"], "/"),
        "contract": contract,
        "state_from": since,
        "observed_for": pc.max_element_wise(pc.subtract(polled, since), 0),
        "contract_name": fields["contract"],
        "latitude": latitude,
        "longitude": longitude,
        "bike_stands": fields["capacity"],
    }
    columns = [derived[name] if name in derived else fields[name] for name in SCHEMA.names]
    return pa.table([column.cast(kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)


def _position(fields: pa.Table) -> list[pa.ChunkedArray]:
    return [pc.struct_field(fields["position"], name) for name in POSITION]


def _folded(contracts: pa.ChunkedArray) -> pa.Array:
    """Case-folded, as Unicode defines it (section 3.13, default caseless matching)."""
    coded = contracts.combine_chunks().dictionary_encode()
    return pa.array([name.casefold() for name in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)


def _is_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
    empty = pc.equal(values, "") if pa.types.is_string(values.type) else pa.scalar(False)
    return pc.or_kleene(values.is_null(), empty)


def _is_out_of_range(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.or_(pc.less(values, 0), pc.greater(values, _LATEST))


def _mask(values: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(), bool)
