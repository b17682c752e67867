"""Options that questions share, and how their values are read."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

import typer

from privacyplease.cli.completion import dataset_names, place_names
from privacyplease.cli.times import parse_instant, parse_width, parse_zone

From = Annotated[
    str,
    typer.Option("--from", metavar="T", help="First instant: 2024-10-01, 2024-10-01T08:00+09:00, -2h, -15m, -3d, now."),
]
To = Annotated[
    str,
    typer.Option("--to", metavar="T", help="Last instant, itself included. A date alone is its midnight, not its end."),
]
Zone = Annotated[
    str,
    typer.Option("--timezone", metavar="Z", help="Zone of times without one, and of those shown, as Europe/Berlin."),
]
Place = Annotated[
    str | None, typer.Option("--place", metavar="P", help="Only at this place.", autocompletion=place_names)
]
Step = Annotated[str, typer.Option("--step", metavar="WIDTH", help="Width of a step: 30s, 15m, 1h, 1d.")]
Dataset = Annotated[
    str, typer.Option("--dataset", metavar="NAME", help="The data set to ask.", autocompletion=dataset_names)
]
Purpose = Annotated[
    str,
    typer.Option(
        "--purpose", envvar="PRIVACYPLEASE_PURPOSE", metavar="TEXT", help="Why you ask; the audit log keeps it."
    ),
]


@dataclass(frozen=True)
class Range:
    """A closed interval, and the zone to show times in."""

    start: datetime
    end: datetime
    zone: tzinfo


def read_range(start: str, end: str, timezone: str) -> Range:
    """Reads --from, --to and --timezone.

    Raises:
        typer.BadParameter: One of them is not what its help says.
    """
    now, zone = datetime.now(UTC), read_zone(timezone)
    return Range(_instant(start, now, zone, "--from"), _instant(end, now, zone, "--to"), zone)


def read_zone(timezone: str) -> tzinfo:
    """Reads --timezone.

    Raises:
        typer.BadParameter: There is no such zone.
    """
    try:
        return parse_zone(timezone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timezone") from None


def read_instant(text: str, zone: tzinfo, option: str) -> datetime:
    """Reads one instant, as --from takes it.

    Raises:
        typer.BadParameter: It is none; `option` says whose value it was.
    """
    return _instant(text, datetime.now(UTC), zone, option)


def read_step(text: str) -> timedelta:
    """Reads --step.

    Raises:
        typer.BadParameter: It is no width of time.
    """
    return read_width(text, "--step")


def read_width(text: str, option: str) -> timedelta:
    """Reads a width of time, as --step takes it.

    Raises:
        typer.BadParameter: It is none; `option` says whose value it was.
    """
    try:
        return parse_width(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _instant(text: str, now: datetime, zone: tzinfo, option: str) -> datetime:
    try:
        return parse_instant(text, now, zone)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
