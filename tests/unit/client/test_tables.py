"""Results convert to tables, column by column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest

from privacyplease.client import Availability, Dwell, Occupancy, Peak, PlaceCounts, Places, Series, Sessions, Statistics

EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
KNOWN = Statistics((1.5, None), (1, None), (2, None))

RESULTS = {
    "sessions": Sessions(("ap-1",), (0,), (1,)),
    "occupancy": Occupancy(Peak(EIGHT, 3), Series(EIGHT, QUARTER, (3, 1))),
    "place counts": PlaceCounts(("ap-1", "ap-2"), (3, 1)),
    "places": Places(("ap-1", "ap-2"), ("Campus > Library", "")),
    "dwell": Dwell((QUARTER,), (7, 2), QUARTER, 3, 4),
    "availability": Availability(EIGHT, QUARTER, KNOWN, KNOWN),
}


@pytest.mark.parametrize("name", RESULTS)
def test_arrow_pandas_and_polars_get_the_same_table(name: str) -> None:
    table = RESULTS[name].to_arrow()
    assert list(RESULTS[name].to_pandas().columns) == table.column_names
    assert RESULTS[name].to_polars().equals(pl.DataFrame(table))


def test_dwell_classes_have_their_lower_bounds() -> None:
    assert RESULTS["dwell"].to_arrow() == pa.table(
        {"at_least": pa.array([timedelta(0), QUARTER], pa.duration("ms")), "sessions": pa.array([7, 2])}
    )


def test_places_without_a_location_are_in_no_group() -> None:
    places = Places(("ap-1", "ap-2", "ap-3"), ("Campus > Library > 1", "", "Campus > Library > 2"))
    assert places.groups() == {"Campus > Library > 1": ["ap-1"], "Campus > Library > 2": ["ap-3"]}
    assert places.groups(depth=2) == {"Campus > Library": ["ap-1", "ap-3"]}
