"""`privacyplease stations`: what bike-share stations have and had."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.completion import place_names
from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_duration, read_optional_instant, read_range, read_zone
from privacyplease.cli.options import Dataset, From, Step, To, Zone
from privacyplease.cli.output import station_tables
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import iso, seconds

if TYPE_CHECKING:
    from privacyplease.client import Availability, Spread, StationStates

Contract = Annotated[
    str,
    typer.Argument(
        metavar="CONTRACT", help="The contract, e.g. lund; case does not matter.", autocompletion=place_names
    ),
]

_SERIES = ("at", *(f"{what}_{name}" for what in ("bikes", "stands") for name in ("mean", "minimum", "maximum")))

app = typer.Typer(help="What bike-share stations have and had.")


@app.command()
def history(
    context: typer.Context,
    station: Annotated[str, typer.Argument(metavar="CONTRACT/NUMBER", help="The station, e.g. lund/12.")],
    start: From,
    end: To,
    dataset: Dataset = "bikes",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """What a station reported.

    Each state lasts until the next one.

    --json prints {"station", "states": [...]}, each state with the columns of the data set: times in ISO 8601,
    observed_for in seconds, null where the feed had no value.

    Example: privacyplease stations history lund/12 --from 2024-10-01 --to 2024-10-02
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        states = client.station_history(station, span.start, span.end, dataset=dataset)
    rows = as_documents(states)
    if not printed_for_programs({"station": station, "states": rows}, json, csv, _columns(), rows):
        station_tables.print_history(station, states, span)


@app.command()
def now(
    context: typer.Context,
    contract: Contract,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="T", help="As of then: 2024-10-01T08:00+09:00, -2h. Default: now."),
    ] = None,
    dataset: Dataset = "bikes",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """The last known state of each station of a contract.

    --json prints {"contract", "at", "stations": [...]}, each station with the columns of the data set: times in
    ISO 8601, observed_for in seconds, null where the feed had no value; "at" is null without --at.

    Example: privacyplease stations now lund --at 2024-10-01T08:00Z
    """
    zone = read_zone(timezone)
    instant = read_optional_instant(at, zone, "--at")
    with connect(context) as client:
        states = client.stations_now(contract, instant, dataset=dataset)
    rows = as_documents(states)
    document = {"contract": contract, "at": None if instant is None else iso(instant), "stations": rows}
    if not printed_for_programs(document, json, csv, _columns(), rows):
        station_tables.print_latest(contract, states, instant, zone)


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

    Sums over all stations whose state is known; for each step their mean over time, minimum and maximum.

    --json prints {"contract", "series": [{"at", "bikes", "stands"}]}, with {"mean", "minimum", "maximum"} of each; null
    where no station had reported a number yet.

    Example: privacyplease stations availability lund --from 2024-10-01 --to 2024-10-02 --step 15m
    """
    span, length = read_range(start, end, timezone), read_duration(step, "--step")
    with connect(context) as client:
        answer = client.availability(contract, span.start, span.end, length, dataset=dataset)
    steps = series(answer)
    if not printed_for_programs({"contract": contract, "series": steps}, json, csv, _SERIES, map(_csv_row, steps)):
        station_tables.print_availability(contract, answer, span.zone)


def as_documents(states: StationStates) -> list[dict[str, Any]]:
    """States as --json prints them."""
    return [{name: _as_json(getattr(state, name)) for name in state.__slots__} for state in states]


def series(availability: Availability) -> list[dict[str, Any]]:
    """Steps as --json prints them."""
    return [{"at": iso(step.at), "bikes": _spread(step.bikes), "stands": _spread(step.stands)} for step in availability]


def _columns() -> tuple[str, ...]:
    from privacyplease.client import StationState

    return tuple(field.name for field in fields(StationState))


def _csv_row(step: dict[str, Any]) -> dict[str, Any]:
    spreads = {f"{what}_{name}": value for what in ("bikes", "stands") for name, value in step[what].items()}
    return {"at": step["at"], **spreads}


def _as_json(value: Any) -> Any:  # noqa: ANN401 (any value of a column)
    if isinstance(value, datetime):
        return iso(value)
    return seconds(value) if isinstance(value, timedelta) else value


def _spread(spread: Spread) -> dict[str, float | None]:
    return {"mean": spread.mean, "minimum": spread.minimum, "maximum": spread.maximum}
