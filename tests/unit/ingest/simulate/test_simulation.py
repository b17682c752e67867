import datetime as dt
import io

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from privacyplease.ingest import wifi
from privacyplease.ingest.simulate import simulate


@pytest.fixture(scope="module")
def week() -> list[pa.Table]:
    return list(simulate(devices=400, places=60, days=7, seed=3, start=dt.date(2024, 10, 7)))


@pytest.fixture(scope="module")
def monday(week: list[pa.Table]) -> pa.Table:
    return week[0]


def seconds(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(table[name].cast(pa.int64())) // 1_000


def test_the_same_seed_gives_the_same_sessions(week: list[pa.Table]) -> None:
    again = simulate(devices=400, places=60, days=7, seed=3, start=dt.date(2024, 10, 7))
    assert all(one.equals(other) for one, other in zip(week, again, strict=True))
    other = next(simulate(devices=400, places=60, days=1, seed=4, start=dt.date(2024, 10, 7)))
    assert not week[0].equals(other)


def test_every_session_can_be_read_back(week: list[pa.Table]) -> None:
    stream = io.BytesIO()
    assert wifi.write(week, stream) == sum(day.num_rows for day in week)
    stream.seek(0)
    blocks = list(wifi.read(stream))
    assert not [reject for block in blocks for reject in block.rejects]
    assert pa.concat_tables([block.table for block in blocks]).equals(pa.concat_tables(week))


def test_the_sessions_of_a_day_start_on_it_in_order(week: list[pa.Table]) -> None:
    for number, day in enumerate(week):
        starts = seconds(day, "association_time")
        assert set(starts // 86_400) == {dt.date(2024, 10, 7).toordinal() - dt.date(1970, 1, 1).toordinal() + number}
        assert (np.diff(starts) >= 0).all()


def test_a_large_campus_has_enough_sessions() -> None:
    [day] = simulate(devices=5_000, places=120, days=1, seed=1)
    assert day.num_rows >= 100_000
    assert len(day["ap_name"].unique()) == 120


def test_weekends_have_less_than_half_the_sessions(week: list[pa.Table]) -> None:
    assert all(day.num_rows < week[0].num_rows / 2 for day in week[5:])


def test_working_hours_are_busier_than_the_night(monday: pa.Table) -> None:
    by_hour = np.bincount(seconds(monday, "association_time") // 3_600 % 24, minlength=24)
    assert by_hour[10:17].min() > 3 * by_hour[1:7].max()


def test_canteens_fill_at_lunch(monday: pa.Table) -> None:
    hours = seconds(monday, "association_time") // 3_600 % 24
    canteen = np.asarray(pc.match_substring(monday["map_location"], "Canteen"))
    assert canteen[hours == 12].mean() > 3 * canteen[(hours == 10) | (hours == 15)].mean()


def test_a_third_of_sessions_have_no_duration_and_some_last_hours(monday: pa.Table) -> None:
    lengths = seconds(monday, "session_duration")
    assert 0.30 < (lengths == 0).mean() < 0.42
    assert lengths.max() > 4 * 3_600


def test_a_few_places_have_most_sessions(monday: pa.Table) -> None:
    counts = np.sort([each["counts"] for each in pc.value_counts(monday["ap_name"]).to_pylist()])
    assert counts[-6:].sum() > 5 * counts[:30].sum() / 5
    assert counts[-6:].sum() > 0.25 * counts.sum()


def test_some_devices_are_at_several_places_at_once(monday: pa.Table) -> None:
    frame = monday.to_pandas().sort_values(["client_mac", "association_time"])
    frame["end"] = frame.association_time + frame.session_duration
    latest = frame.groupby("client_mac").end.cummax().groupby(frame.client_mac).shift()
    overlaps = (frame.association_time <= latest).mean()
    assert 0.2 < overlaps < 0.6


def test_addresses_are_distinct_and_locally_administered(monday: pa.Table) -> None:
    addresses = [bytes.fromhex(mac.replace(":", "")) for mac in monday["client_mac"].unique().to_pylist()]
    assert len(addresses) > 300
    assert all(len(address) == 6 and address[0] & 0b11 == 0b10 for address in addresses)


def test_no_device_starts_two_sessions_at_one_place_at_the_same_time(monday: pa.Table) -> None:
    keys = ["client_mac", "ap_name", "association_time"]
    assert not monday.select(keys).to_pandas().duplicated().any()


@pytest.mark.parametrize(("devices", "places"), [(1, 1), (3, 1), (1, 9), (10, 2)])
def test_small_campuses_can_be_simulated(devices: int, places: int) -> None:
    for day in simulate(devices=devices, places=places, days=8, seed=1):
        assert day.schema.equals(wifi.SCHEMA)
