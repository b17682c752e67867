"""Rates and percentiles cover the window, whatever happened before it and however much."""

from __future__ import annotations

import grpc
import pytest

from privacyplease.proxy.telemetry.activity import MOST_KEPT, WINDOW_SECONDS, Activity, StoredBatch
from privacyplease.transport.call_log import FinishedCall
from tests.services.fake_clock import FakeClock

METHOD = "PresenceService/FindSessions"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000.0)


@pytest.fixture
def activity(clock: FakeClock) -> Activity:
    return Activity(clock)


def call(seconds: float = 0.1, code: grpc.StatusCode = grpc.StatusCode.OK, cells: int = 0) -> FinishedCall:
    return FinishedCall(METHOD, "alice", code, "", "", seconds, False, cells, cells * 300)


def test_without_calls_there_are_no_entries(activity: Activity) -> None:
    assert activity.calls() == []
    assert activity.ingestion() == (0, 0, 0, 0.0)


def test_percentiles_and_means_are_those_of_the_window(activity: Activity, clock: FakeClock) -> None:
    for number in range(101):
        activity.called(call(number / 100, cells=number))
    clock.now += 50
    (recent,) = activity.calls()
    assert (recent.method, recent.calls) == (METHOD, 101)
    assert (recent.median, recent.percentile_95) == pytest.approx((0.5, 0.95))
    assert (recent.mean_cells, recent.mean_bytes) == pytest.approx((50, 15_000))
    assert recent.per_second == pytest.approx(101 / 50)


def test_a_cancelled_call_does_not_count_as_failed(activity: Activity) -> None:
    for code in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.DATA_LOSS):
        activity.called(call(code=code))
    assert [(recent.calls, recent.failed) for recent in activity.calls()] == [(3, 1)]


def test_events_older_than_the_window_are_ignored(activity: Activity, clock: FakeClock) -> None:
    activity.called(call())
    activity.ingested(StoredBatch("wifi", 100, 1))
    clock.now += WINDOW_SECONDS + 1
    assert activity.calls() == []
    assert activity.ingestion() == (1, 100, 1, 0.0)
    activity.ingested(StoredBatch("wifi", 600, 0))
    assert activity.ingestion() == (2, 700, 1, pytest.approx(600 / WINDOW_SECONDS))


def test_a_rate_is_right_when_not_all_calls_are_kept(activity: Activity, clock: FakeClock) -> None:
    clock.now += WINDOW_SECONDS
    for _ in range(3 * MOST_KEPT):
        clock.now += 0.01
        activity.called(call())
    (recent,) = activity.calls()
    assert recent.calls == MOST_KEPT
    assert recent.per_second == pytest.approx(100, rel=0.01)
