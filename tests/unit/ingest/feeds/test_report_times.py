import itertools

import pytest

from privacyplease.ingest.feeds.report_times import ReportTimes
from privacyplease.ingest.feeds.station import Station

NOW = 1_758_000_000_000
HOUR = 3_600_000


def station(last_update: int | None, bikes: int = 5, polled_at: int = NOW) -> Station:
    return Station(
        contract="velo", number="1", name=None, address=None, position=None, banking=None, bonus=None, status="OPEN",
        capacity=20, available_bikes=bikes, available_bike_stands=20 - bikes, last_update=last_update, source="gbfs",
        polled_at=polled_at,
    )  # fmt: skip


@pytest.mark.parametrize("reported", [NOW, NOW - 8_760 * HOUR, NOW + 4 * 60_000])
def test_a_time_within_reason_is_believed(reported: int) -> None:
    assert ReportTimes().settle(station(reported)).last_update == reported


@pytest.mark.parametrize(
    "reported",
    [None, 86_400_000, 1, NOW // 1_000, NOW + 6 * 60_000, NOW + 8_760 * HOUR],
)
def test_any_other_time_is_the_polls(reported: int | None) -> None:
    assert ReportTimes().settle(station(reported)).last_update is None


@pytest.mark.parametrize("reported", [NOW - HOUR, 86_400_000, None])
def test_counts_that_change_under_a_time_that_stands_still_begin_a_state_at_the_poll(reported: int | None) -> None:
    times = ReportTimes()
    first = times.settle(station(reported, 5)).last_update
    for number, bikes in enumerate([3, 8, 5], start=1):
        assert times.settle(station(reported, bikes, NOW + number * 60_000)).last_update is None
    assert first == (reported if reported == NOW - HOUR else None)


def test_a_state_that_is_polled_again_keeps_its_time_however_old_it_gets() -> None:
    times = ReportTimes()
    settled = [times.settle(station(NOW - HOUR, polled_at=NOW + hour * HOUR)) for hour in range(100)]
    assert {each.last_update for each in settled} == {NOW - HOUR}
    assert all(one == other for one, other in itertools.pairwise(settled))


def test_a_time_that_moves_on_is_believed_again() -> None:
    times = ReportTimes()
    for reported, bikes in ((NOW - HOUR, 5), (NOW - HOUR, 6)):
        times.settle(station(reported, bikes))
    assert times.settle(station(NOW - 60_000, 6)).last_update == NOW - 60_000
