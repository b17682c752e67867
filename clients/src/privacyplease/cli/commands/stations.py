"""`privacyplease stations`: what bike-share stations have and had."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import station_tables
from privacyplease.cli.completion import place_names
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import (
    Dataset,
    From,
    Step,
    To,
    Zone,
    read_instant,
    read_range,
    read_step,
    read_zone,
)
from privacyplease.cli.target import connect
from privacyplease.cli.times import iso, seconds

if TYPE_CHECKING:
    from privacyplease.client import Availability, Spread, StationStates

Contract = Annotated[
    str,
    typer.Argument(metavar="CONTRACT", help="The contract, as lund; in any case.", autocompletion=place_names),
]

_SERIES = ("at", *(f"{of}_{name}" for of in ("bikes", "stands") for name in ("mean", "minimum", "maximum")))

app = typer.Typer(help="What bike-share stations have and had.")


@app.command()
def history(
    context: typer.Context,
    station: Annotated[str, typer.Argument(metavar="CONTRACT/NUMBER", help="The station, as lund/12.")],
    start: From,
    end: To,
    dataset: Dataset = "bikes",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """What a station reported. Each state holds until the next one.

    --json prints {"station", "states": [...]}, a state with the columns of the data set: times in ISO 8601,
    observed_for in seconds, null where the feed told nothing.

    Example: privacyplease stations history lund/12 --from 2024-10-01 --to 2024-10-02
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        found = client.station_history(station, span.start, span.end, dataset=dataset)
    told = documents(found)
    if not written({"station": station, "states": told}, json, csv, _columns(), told):
        station_tables.print_history(station, found, span)


@app.command()
def now(
    context: typer.Context,
    contract: Contract,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="T", help="As it was then: 2024-10-01T08:00+09:00, -2h. Else as it is."),
    ] = None,
    dataset: Dataset = "bikes",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """The last known state of each station of a contract.

    --json prints {"contract", "at", "stations": [...]}, a station with the columns of the data set: times in ISO 8601,
    observed_for in seconds, null where the feed told nothing; at is null if it was not given.

    Example: privacyplease stations now lund --at 2024-10-01T08:00Z
    """
    zone = read_zone(timezone)
    then = None if at is None else read_instant(at, zone, "--at")
    with connect(context) as client:
        found = client.stations_now(contract, then, dataset=dataset)
    when, told = None if then is None else iso(then), documents(found)
    document = {"contract": contract, "at": when, "stations": told}
    if not written(document, json, csv, _columns(), told):
        station_tables.print_latest(contract, found, then, zone)


@app.command()
def availability(
    context: typer.Context,
    contract: Contract,
    start: From,
    end: To,
    step: Step,
    dataset: Dataset = "bikes",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Bikes and free stands of a contract over time.

    Of each step the mean over time, the least and the most; the sum of all stations whose state is known.

    --json prints {"contract", "series": [{"at", "bikes", "stands"}]}, with {"mean", "minimum", "maximum"} of each; null
    where no station had told a number yet.

    Example: privacyplease stations availability lund --from 2024-10-01 --to 2024-10-02 --step 15m
    """
    span, width = read_range(start, end, timezone), read_step(step)
    with connect(context) as client:
        found = client.availability(contract, span.start, span.end, width, dataset=dataset)
    told = series(found)
    if not written({"contract": contract, "series": told}, json, csv, _SERIES, map(_flat, told)):
        station_tables.print_availability(contract, found, span.zone)


def documents(states: StationStates) -> list[dict[str, Any]]:
    """States as --json prints them."""
    return [{name: _plain(getattr(state, name)) for name in state.__slots__} for state in states]


def series(availability: Availability) -> list[dict[str, Any]]:
    """Steps as --json prints them."""
    return [{"at": iso(step.at), "bikes": _spread(step.bikes), "stands": _spread(step.stands)} for step in availability]


def _columns() -> tuple[str, ...]:
    from privacyplease.client import StationState

    return tuple(field.name for field in fields(StationState))


def _flat(step: dict[str, Any]) -> dict[str, Any]:
    """A step as a row of the CSV."""
    spreads = {f"{of}_{name}": value for of in ("bikes", "stands") for name, value in step[of].items()}
    return {"at": step["at"], **spreads}


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a column holds)
    if isinstance(value, datetime):
        return iso(value)
    return seconds(value) if isinstance(value, timedelta) else value


def _spread(spread: Spread) -> dict[str, float | None]:
    return {"mean": spread.mean, "minimum": spread.minimum, "maximum": spread.maximum}


def register(cli: typer.Typer) -> None:
    """Adds the group of commands."""
    cli.add_typer(app, name="stations")
