"""The layout of charts: numbers become positions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from privacyplease.client import Session
from privacyplease.dashboard.charts.bars import bar_chart
from privacyplease.dashboard.charts.frame import FRAMES, scale, time_ticks
from privacyplease.dashboard.charts.heatmap import heat_map
from privacyplease.dashboard.charts.lines import Band, ChartLine, line_chart
from privacyplease.dashboard.charts.timeline import LEAST_WIDTH, timelines

DAY = datetime(2024, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(st.floats(0, 1e9))
def test_the_axis_ends_at_or_just_above_the_greatest_value(most: float) -> None:
    top, marks = scale(most)
    assert most <= top <= max(1.0, most * 2)
    assert marks[0] == 0
    assert marks[-1] == top
    assert len(marks) <= 7


@given(st.timedeltas(timedelta(minutes=1), timedelta(days=4_000)), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_time_ticks_fit_and_are_inside_the_frame(width: timedelta, zone: str) -> None:
    for frame in FRAMES:
        ticks = time_ticks(frame, DAY, DAY + width, ZoneInfo(zone))
        assert len(ticks) <= frame.ticks + 1
        assert all(frame.left <= tick.at <= frame.edge for tick in ticks)


def test_days_begin_at_local_midnight_across_a_clock_change() -> None:
    start = datetime(2024, 10, 26, 22, tzinfo=UTC)  # midnight in Berlin, the night before clocks go back
    frame = FRAMES[0]
    ticks = time_ticks(frame, start, start + timedelta(days=2, hours=1), ZoneInfo("Europe/Berlin"))
    assert [tick.label for tick in ticks if tick.label == "00:00"] == ["00:00"] * 3
    assert ticks[0].at == frame.left
    assert ticks[-1].at == frame.edge


def test_the_greatest_value_is_at_the_top_and_the_peak_on_the_line() -> None:
    chart = line_chart("x", DAY, HOUR, [ChartLine("a", "current", (0, 100, 50))], UTC, peak=1)
    wide = chart.drawn[0]
    assert wide.peak is not None
    assert wide.peak.label == str(wide.frame.up(1.0))
    assert f"{wide.peak.at} {wide.peak.label}" in wide.paths[0][1]
    assert chart.begin_of(1) == DAY + HOUR


def test_a_line_has_a_gap_where_a_value_is_unknown() -> None:
    chart = line_chart("x", DAY, HOUR, [ChartLine("a", "current", (1, None, 2, 3))], UTC)
    assert chart.drawn[0].paths[0][1].count("M") == 2
    assert chart.drawn[0].area == ""


def test_the_path_of_a_band_is_a_closed_polygon() -> None:
    band = Band("usual", (1, 2), (3, 4))
    chart = line_chart("x", DAY, HOUR, [ChartLine("a", "current", (1, 2))], UTC, band=band)
    path = chart.drawn[0].band
    assert path.endswith("Z")
    assert (path.count("M"), path.count("L")) == (1, 3)


def test_the_height_of_a_bar_is_proportional_to_its_count() -> None:
    chart = bar_chart("x", ["a", "b", "c"], [0, 50, 100])
    first, second, third = chart.bars
    assert first.height == 0
    assert third.height == 2 * second.height


def test_the_hours_of_the_heat_map_are_local_time() -> None:
    counts = tuple(10 if hour % 24 == 6 else 0 for hour in range(14 * 24))
    heat = heat_map(DAY, counts, ZoneInfo("Europe/Berlin"))  # 06:00 UTC is 08:00
    assert [row.index(10) for row in heat.means] == [8] * 7
    assert (heat.most, heat.level(10), heat.level(0), heat.level(None)) == (10, 8, 0, 0)


def test_a_session_is_drawn_at_its_time_and_wide_enough_to_see() -> None:
    sessions = [
        Session("ap-1", DAY - HOUR, DAY + 12 * HOUR),
        Session("ap-1", DAY + 24 * HOUR, DAY + 24 * HOUR),
        Session("ap-2", DAY, DAY),
    ]
    wide, _ = timelines(sessions, DAY, DAY + 24 * HOUR, UTC)
    first, second = wide.rows
    assert [row.place for row in wide.rows] == ["ap-1", "ap-2"]
    assert first.strips[0].x == wide.frame.left
    assert first.strips[0].width == round((wide.frame.edge - wide.frame.left) / 2, 1)
    assert first.strips[1].x + LEAST_WIDTH <= wide.frame.edge
    assert second.strips[0].width == LEAST_WIDTH
