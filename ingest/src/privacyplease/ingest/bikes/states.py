"""From the fields of messages to the columns of data set `bikes`: pure, over whole columns."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.bikes.form import POSITION
from privacyplease.ingest.bikes.verdicts import Fault

__all__ = ["SCHEMA", "Wrong", "faults", "states"]

_INSTANT = pa.timestamp("ms", tz="UTC")
_LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z in ms
_REQUIRED = ("contract", "number", "polled_at")
_MISSING = "expected a value, got none"

Mask = npt.NDArray[np.bool_]

SCHEMA = pa.schema(
    {
        "station": pa.string(),
        "contract": pa.string(),
        "state_from": _INSTANT,
        "observed_for": pa.duration("ms"),
        "contract_name": pa.string(),
        "number": pa.string(),
        "name": pa.string(),
        "address": pa.string(),
        "latitude": pa.float64(),
        "longitude": pa.float64(),
        "banking": pa.bool_(),
        "bonus": pa.bool_(),
        "status": pa.string(),
        "bike_stands": pa.int64(),
        "available_bikes": pa.int64(),
        "available_bike_stands": pa.int64(),
        "last_update": _INSTANT,
        "source": pa.string(),
        "polled_at": _INSTANT,
    }
)
"""The columns of data set `bikes`. What a feed does not tell is null in all but the first four."""


class Wrong(NamedTuple):
    """Which of n messages have a fault: bool[n]."""

    where: Mask
    fault: Fault


def faults(fields: pa.Table) -> list[Wrong]:
    """What can be read and yet cannot be a state: no identity, or a time or a position out of bounds."""
    missing = [Wrong(_mask(_is_missing(fields[name])), Fault(name, _MISSING)) for name in _REQUIRED]
    slash = pc.match_substring(fields["contract"], "/")
    times = [
        Wrong(_mask(_is_no_time(fields[name])), Fault(name, "expected a time from 1970 to 9999, in ms"))
        for name in ("last_update", "polled_at")
    ]
    infinite = [pc.invert(pc.is_finite(each)) for each in _position(fields)]
    return [
        *missing,
        Wrong(_mask(slash), Fault("contract", 'expected a name without "/"')),
        Wrong(_mask(pc.or_kleene(*infinite)), Fault("position", "expected lat and lng as numbers, or null")),
        *times,
    ]


def states(fields: pa.Table) -> pa.Table:
    """The states that messages without faults tell.

    A state holds from when its station reported it, or from when we asked if it tells no time. That it was still the
    same when we asked is its duration. So a report that is polled again is the same record in a longer form, which
    replaces the shorter one.
    """
    polled = fields["polled_at"]
    since = pc.coalesce(fields["last_update"], polled)
    contract = _folded(fields["contract"])
    latitude, longitude = _position(fields)
    made = {
        "station": pc.binary_join_element_wise(contract, fields["number"], "/"),
        "contract": contract,
        "state_from": since,
        "observed_for": pc.max_element_wise(pc.subtract(polled, since), 0),
        "contract_name": fields["contract"],
        "latitude": latitude,
        "longitude": longitude,
        "bike_stands": fields["capacity"],
    }
    columns = [made[name] if name in made else fields[name] for name in SCHEMA.names]
    return pa.table([column.cast(kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)


def _position(fields: pa.Table) -> list[pa.ChunkedArray]:
    return [pc.struct_field(fields["position"], name) for name in POSITION]


def _folded(contracts: pa.ChunkedArray) -> pa.Array:
    """Without regard to case, as Unicode says (section 3.13, default caseless matching)."""
    coded = contracts.combine_chunks().dictionary_encode()
    return pa.array([name.casefold() for name in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)


def _is_missing(values: pa.ChunkedArray) -> pa.ChunkedArray:
    empty = pc.equal(values, "") if pa.types.is_string(values.type) else pa.scalar(False)
    return pc.or_kleene(values.is_null(), empty)


def _is_no_time(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.or_(pc.less(values, 0), pc.greater(values, _LATEST))


def _mask(values: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(), bool)
