"""What `privacyplease stations` shows to people: tables as wide as the screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.options import Range
from privacyplease.cli.times import humanised, iso

if TYPE_CHECKING:
    from privacyplease.client import Availability, Spread, StationState, StationStates

_UNKNOWN = "-"
_COUNTS = ("bikes", "free", "stands")
_SPREADS = ("bikes", "min", "max", "free", "min", "max")
_NUMBERS = {*_COUNTS, *_SPREADS}


def print_history(station: str, states: StationStates, span: Range) -> None:
    """What a station reported, a line a state; above it what it is and where, as it said last."""
    rows = list(states)
    if not rows:
        told = f"from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}"
        screen.out().print(f"{station} reported nothing {told}")
        return
    last = rows[-1]
    told = ", ".join(filter(None, [last.station, last.name, last.address, _where(last)]))
    screen.out().print(screen.printable(told))
    lines = [
        (iso(state.state_from, span.zone), state.status or _UNKNOWN, *_counts(state), humanised(state.observed_for))
        for state in rows
    ]
    _print(("since", "status", *_COUNTS, "observed for"), lines)


def print_latest(contract: str, states: StationStates, then: datetime | None, zone: tzinfo) -> None:
    """The stations of a contract, a line each, by number; above them what they have together."""
    rows = sorted(states, key=_by_number)
    when = "" if then is None else f", as of {iso(then, zone)}"
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
    """What a contract had, a line a step."""
    steps = screen.counted(len(availability), "step")
    width = humanised(availability.step)
    screen.out().print(f"{contract}: {steps} of {width}; bikes and free stands in the mean, at least and at most")
    lines = [(iso(step.at, zone), *_spread(step.bikes), *_spread(step.stands)) for step in availability]
    _print(("from", *_SPREADS), lines)


def _print(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    out = screen.out()
    shown = [[screen.printable(text) for text in row] for row in rows]
    for line in aligned(headings, shown, out.width, _NUMBERS, elastic="name"):
        out.print(line)


def _where(state: StationState) -> str:
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
    """As people count, 2 before 10; what is no number comes first."""
    number = state.number or ""
    return (int(number) if number.isdecimal() and len(number) < 20 else 0, number)
