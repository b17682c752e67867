from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from privacyplease.cli.clocks import clock_from
from privacyplease.cli.option_values import read_clock

MORNING = datetime(2024, 10, 1, 8, tzinfo=UTC)


def test_a_clock_starts_at_the_given_time_and_runs_at_the_given_speed() -> None:
    seconds = iter([1_000.0, 1_000.0, 1_090.0])
    clock = clock_from(MORNING, 60, lambda: next(seconds))
    assert clock() == MORNING
    assert clock() == MORNING.replace(hour=9, minute=30)


def test_a_clock_with_speed_zero_does_not_advance() -> None:
    assert read_clock("2024-10-01T10:00", 0, "Europe/Berlin")() == MORNING


def test_without_as_of_it_is_the_real_time() -> None:
    before = datetime.now(UTC)
    assert before <= read_clock(None, 1, "UTC")() <= datetime.now(UTC)


def test_speed_without_as_of_is_rejected() -> None:
    with pytest.raises(typer.BadParameter, match="expected --as-of"):
        read_clock(None, 60, "UTC")


def test_an_invalid_as_of_is_rejected() -> None:
    with pytest.raises(typer.BadParameter, match="got 'noon'"):
        read_clock("noon", 1, "UTC")
