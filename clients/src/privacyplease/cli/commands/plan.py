"""`privacyplease plan`: what a deployment stores and a question fetches, and what to write into a definition."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.forms import Csv, Json, written

if TYPE_CHECKING:
    from privacyplease.cli.planning import Deployment, Plan

_LINE_CHARACTERS = 100
_QUESTIONS = ("question", "segments", "first time", "counts", "all columns", "prefetch")
_COVERS = ("cover", "records", "sent a day", "beside what is stored")


class _Every(StrEnum):
    SECOND = "1s"
    TEN_SECONDS = "10s"


def plan(
    records_per_day: Annotated[
        int, typer.Option("--records-per-day", metavar="R", min=1, max=10_000_000, help="Records a day.")
    ],
    busiest_hour: Annotated[
        int | None,
        typer.Option("--busiest-hour", metavar="N", min=1, help="Records in the busiest hour; else 15 % of a day's."),
    ] = None,
    columns: Annotated[
        int, typer.Option("--columns", metavar="N", min=0, help="Columns besides who, where, when and how long.")
    ] = 11,
    core: Annotated[
        float, typer.Option("--core", metavar="B", min=0.1, help="Bytes a record for who, where, when and how long.")
    ] = 5.0,
    rest: Annotated[
        float, typer.Option("--rest", metavar="B", min=0.1, help="Bytes a record for every other column together.")
    ] = 3.0,
    epoch_days: Annotated[
        int, typer.Option("--epoch-days", metavar="D", min=1, max=3_660, help="The period that has keys of its own.")
    ] = 30,
    cover: Annotated[
        _Every, typer.Option("--cover", help="How often something is sent, records or not.")
    ] = _Every.TEN_SECONDS,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Estimate storage, fetched bytes, memory and cover. It asks no proxy, and measures nothing.

    It begins with lines for the data set's definition; without more options they are those of WiFi sessions. Fetched
    bytes are those of settled segments, the first time: after that the proxy has them in memory.

    Example: privacyplease plan --records-per-day 24500
    """
    from privacyplease.cli.planning import Deployment
    from privacyplease.cli.planning import plan as planned

    deployment = Deployment(
        records_per_day, busiest_hour, columns, core, rest, epoch_days=epoch_days, cover=cover.value
    )
    found = planned(deployment)
    if not written(asdict(found), json, csv):
        _show(deployment, found)


def _show(deployment: Deployment, found: Plan) -> None:
    out = screen.out()
    out.print(_definition(deployment, found))
    for line in (*_stored(found), "", *_fetched(found), "", *_covered(found)):
        out.print(line)


def _definition(deployment: Deployment, found: Plan) -> str:
    """The lines for a data set's definition."""
    bytes_per_record = "\n".join(f"{group} = {getattr(deployment, group):g}" for group in ("core", "rest", "rollup"))
    return (
        f'epoch_days = {deployment.epoch_days}\ncover = "{deployment.cover}"\n'
        f'cover_records = {found.cover[deployment.cover].records}\nprefetch = "day"\n\n'
        f"[bytes_per_record]\n{bytes_per_record}\n"
    )


def _stored(found: Plan) -> list[str]:
    segment = found.segment
    rollup = f", roll-up {screen.mebibytes(segment.rollup_bytes)}" if segment.rollup_bytes else ""
    day, year = screen.mebibytes(found.stored_bytes_a_day), screen.mebibytes(found.stored_bytes_a_year)
    return [
        f"segment  {screen.counted(segment.records, 'record')}, those of {segment.days:,.2g} days: core "
        f"{screen.mebibytes(segment.core_bytes)}, rest {screen.mebibytes(segment.rest_bytes)}{rollup}",
        f"stored   {day} a day, {year} a year: {found.beside_plaintext:.2g} of WiFi sessions in plaintext",
        f"memory   --cache-mib {found.cache_mib} keeps 30 days at hand, in {screen.mebibytes(found.opened_bytes)} "
        "if all of it is opened",
    ]


def _fetched(found: Plan) -> list[str]:
    rows = [
        [
            name,
            f"{fetched.segments:,.1f}",
            screen.mebibytes(fetched.bytes),
            screen.mebibytes(fetched.counted_bytes),
            screen.mebibytes(fetched.columns_bytes),
            screen.mebibytes(fetched.whole_days_bytes),
        ]
        for name, fetched in found.fetched.items()
    ]
    return [
        *aligned(_QUESTIONS, rows, _LINE_CHARACTERS, right=_QUESTIONS[1:]),
        "prefetch hides which part of its days a question is about, to the width of a segment",
    ]


def _covered(found: Plan) -> list[str]:
    rows = [
        [
            name,
            screen.number(cover.records),
            screen.mebibytes(cover.sent_bytes),
            f"{cover.sent_bytes / found.stored_bytes_a_day:,.0f} times",
        ]
        for name, cover in found.cover.items()
    ]
    return [
        *aligned(_COVERS, rows, _LINE_CHARACTERS, right=_COVERS[1:]),
        "cover hides when records come and how many, up to so many each time; what is more waits, and",
        "compaction brings it down to what is stored, which shows how many there are in all",
    ]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(plan)
