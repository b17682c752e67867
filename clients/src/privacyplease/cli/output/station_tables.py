"""The tables of `privacyplease stations`, as wide as the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.times import humanised, iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from privacyplease.cli.option_values import TimeRange
    from privacyplease.client import Availability, Spread, StationState, StationStates

_UNKNOWN = "-"
_COUNTS = ("bikes", "free", "stands")
_SPREADS = ("bikes", "min", "max", "free", "min", "max")
_NUMBERS = {*_COUNTS, *_SPREADS}


def print_history(station: str, states: StationStates, span: TimeRange) -> None:
    """What a station reported, one state per line, below its latest name and location."""
    rows = list(states)
    if not rows:
        when = f"from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}"
        screen.out().print(f"{station} reported nothing {when}")
        return
    last = rows[-1]
    description = ", ".join(filter(None, [last.station, last.name, last.address, _location(last)]))
    screen.out().print(screen.printable(description))
    lines = [
        (iso(state.state_from, span.zone), state.status or _UNKNOWN, *_counts(state), humanised(state.observed_for))
        for state in rows
    ]
    _print(("since", "status", *_COUNTS, "observed for"), lines)


def print_latest(contract: str, states: StationStates, at: datetime | None, zone: tzinfo) -> None:
    """The stations of a contract, one per line, ordered by number, below their totals."""
    rows = sorted(states, key=_by_number)
    when = "" if at is None else f", as of {iso(at, zone)}"
    if not rows:
        screen.out().print(f"no station of {contract} is known{when}")
        return
    bikes = screen.counted(sum(state.available_bikes or 0 for state in rows), "bike")
    stands = screen.counted(sum(state.available_bike_stands or 0 for state in rows), "free stand")
    screen.out().print(f"{contract}: {bikes} and {stands} at {screen.counted(len(rows), 'station')}{when}")
    lines = [
        (state.number or "", state.name or "", state.status or _UNKNOWN, *_counts(state), iso(state.state_from, zone))
        for state in rows
    ]
    _print(("number", "name", "status", *_COUNTS, "since"), lines)


def print_availability(contract: str, availability: Availability, zone: tzinfo) -> None:
    """Availability at a contract, one step per line."""
    steps = screen.counted(len(availability), "step")
    length = humanised(availability.step)
    screen.out().print(f"{contract}: {steps} of {length}; mean, minimum and maximum of bikes and free stands")
    lines = [(iso(step.at, zone), *_spread(step.bikes), *_spread(step.stands)) for step in availability]
    _print(("from", *_SPREADS), lines)


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    out = screen.out()
    shown = [[screen.printable(text) for text in row] for row in rows]
    for line in aligned(headings, shown, out.width, _NUMBERS, elastic="name"):
        out.print(line)


def _location(state: StationState) -> str:
    known = state.latitude is not None and state.longitude is not None
    return f"{state.latitude:.5f} {state.longitude:.5f}" if known else ""


def _counts(state: StationState) -> list[str]:
    return [_number(count) for count in (state.available_bikes, state.available_bike_stands, state.bike_stands)]


def _spread(spread: Spread) -> list[str]:
    mean = _UNKNOWN if spread.mean is None else f"{spread.mean:,.1f}"
    return [mean, _number(spread.minimum), _number(spread.maximum)]


def _number(count: int | None) -> str:
    return _UNKNOWN if count is None else screen.number(count)


def _by_number(state: StationState) -> tuple[int, str]:
    """A sort key: 2 before 10, and what is not a number first."""
    number = state.number or ""
    return (int(number) if number.isdecimal() and len(number) < 20 else 0, number)
