from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from privacyplease.cli.clocks import clock_from, read_clock

MORNING = datetime(2024, 10, 1, 8, tzinfo=UTC)


def test_a_clock_goes_from_where_it_was_set_and_as_fast_as_it_was_told() -> None:
    seconds = iter([1_000.0, 1_000.0, 1_090.0])
    clock = clock_from(MORNING, 60, lambda: next(seconds))
    assert clock() == MORNING
    assert clock() == MORNING.replace(hour=9, minute=30)


def test_a_clock_may_stand_still() -> None:
    assert read_clock("2024-10-01T10:00", 0, "Europe/Berlin")() == MORNING


def test_without_a_moment_it_is_the_present() -> None:
    before = datetime.now(UTC)
    assert before <= read_clock(None, 1, "UTC")() <= datetime.now(UTC)


def test_the_present_is_not_made_to_hurry() -> None:
    with pytest.raises(typer.BadParameter, match="give --as-of"):
        read_clock(None, 60, "UTC")


def test_a_moment_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="got 'noon'"):
        read_clock("noon", 1, "UTC")
