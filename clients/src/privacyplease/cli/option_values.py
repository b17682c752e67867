"""Reads the values of options that commands share. A value that cannot be read is wrong usage."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import TypeVar

import typer

from privacyplease.cli.clocks import Clock, clock_from
from privacyplease.cli.times import parse_duration, parse_instant, parse_zone

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class TimeRange:
    """A closed interval, and the zone to show times in."""

    start: datetime
    end: datetime
    zone: tzinfo


def read_range(start: str, end: str, timezone: str) -> TimeRange:
    """Reads --from, --to and --timezone.

    Raises:
        typer.BadParameter: One of them cannot be read.
    """
    now, zone = datetime.now(UTC), read_zone(timezone)
    return TimeRange(
        _read("--from", parse_instant, start, now, zone), _read("--to", parse_instant, end, now, zone), zone
    )


def read_zone(timezone: str) -> tzinfo:
    """Reads --timezone.

    Raises:
        typer.BadParameter: There is no such zone.
    """
    return _read("--timezone", parse_zone, timezone)


def read_instant(text: str, zone: tzinfo, option: str) -> datetime:
    """Reads an instant in the notation of --from.

    Raises:
        typer.BadParameter: `text` is not an instant; the message names `option`.
    """
    return _read(option, parse_instant, text, datetime.now(UTC), zone)


def read_optional_instant(text: str | None, zone: tzinfo, option: str) -> datetime | None:
    """As `read_instant`; None if the option was not given."""
    return None if text is None else read_instant(text, zone, option)


def read_duration(text: str, option: str) -> timedelta:
    """Reads a duration in the notation of --step.

    Raises:
        typer.BadParameter: `text` is not a duration; the message names `option`.
    """
    return _read(option, parse_duration, text)


def read_clock(as_of: str | None, speed: float, timezone: str) -> Clock:
    """Reads --as-of and --speed.

    Raises:
        typer.BadParameter: --as-of cannot be read, or --speed is given without it.
    """
    if as_of is not None:
        return clock_from(read_instant(as_of, read_zone(timezone), "--as-of"), speed)
    if speed != 1:
        raise typer.BadParameter("expected --as-of with it: the real time has no other speed", param_hint="--speed")
    return partial(datetime.now, UTC)


def _read(option: str, parse: Callable[..., _Value], *arguments: object) -> _Value:
    try:
        return parse(*arguments)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
