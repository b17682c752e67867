"""`privacyplease plan`: what a deployment will store and its questions fetch, and the settings for a data set."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from privacyplease.cli.capacity import CapacityPlan, Deployment, plan_capacity
from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs

_LINE_CHARACTERS = 100
_QUESTIONS = ("question", "segments", "first time", "counts", "all columns", "prefetch")
_COVERS = ("cover", "records", "sent per day", "of what is stored")


class _CoverPeriod(StrEnum):
    SECOND = "1s"
    TEN_SECONDS = "10s"


def plan(
    records_per_day: Annotated[
        int, typer.Option("--records-per-day", metavar="R", min=1, max=10_000_000, help="Records per day.")
    ],
    busiest_hour: Annotated[
        int | None,
        typer.Option(
            "--busiest-hour", metavar="N", min=1, help="Records in the busiest hour; default: 15 % of a day's."
        ),
    ] = None,
    columns: Annotated[
        int, typer.Option("--columns", metavar="N", min=0, help="Columns other than who, where, when and how long.")
    ] = 11,
    core: Annotated[
        float, typer.Option("--core", metavar="B", min=0.1, help="Bytes per record for who, where, when and how long.")
    ] = 5.0,
    rest: Annotated[
        float, typer.Option("--rest", metavar="B", min=0.1, help="Bytes per record for all other columns together.")
    ] = 3.0,
    epoch_days: Annotated[
        int,
        typer.Option(
            "--epoch-days", metavar="D", min=1, max=3_660, help="Days that share a key and are erased together."
        ),
    ] = 30,
    cover: Annotated[
        _CoverPeriod, typer.Option("--cover", help="How often to send cover traffic.")
    ] = _CoverPeriod.TEN_SECONDS,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Estimate storage, fetched bytes, memory and cover traffic.

    It calculates only: it needs no proxy, and measures nothing. The first lines are settings for the definition of the
    data set; the defaults are those of WiFi sessions. Fetched bytes are those of settled segments, the first time:
    afterwards the proxy has them in memory.

    Example: privacyplease plan --records-per-day 24500
    """
    deployment = Deployment(
        records_per_day, busiest_hour, columns, core, rest, epoch_days=epoch_days, cover=cover.value
    )
    capacity = plan_capacity(deployment)
    if not printed_for_programs(asdict(capacity), json, csv):
        _show(deployment, capacity)


def _show(deployment: Deployment, capacity: CapacityPlan) -> None:
    out = screen.out()
    out.print(_definition(deployment, capacity))
    for line in (*_stored(capacity), "", *_fetched(capacity), "", *_covered(capacity)):
        out.print(line)


def _definition(deployment: Deployment, capacity: CapacityPlan) -> str:
    """The settings for the definition of the data set."""
    bytes_per_record = "\n".join(f"{group} = {getattr(deployment, group):g}" for group in ("core", "rest", "rollup"))
    return (
        f'epoch_days = {deployment.epoch_days}\ncover = "{deployment.cover}"\n'
        f'cover_records = {capacity.cover[deployment.cover].records}\nprefetch = "day"\n\n'
        f"[bytes_per_record]\n{bytes_per_record}\n"
    )


def _stored(capacity: CapacityPlan) -> list[str]:
    segment = capacity.segment
    rollup = f", roll-up {screen.mebibytes(segment.rollup_bytes)}" if segment.rollup_bytes else ""
    day, year = screen.mebibytes(capacity.stored_bytes_a_day), screen.mebibytes(capacity.stored_bytes_a_year)
    return [
        f"segment  {screen.counted(segment.records, 'record')}, {segment.days:,.2g} days: core "
        f"{screen.mebibytes(segment.core_bytes)}, rest {screen.mebibytes(segment.rest_bytes)}{rollup}",
        f"stored   {day} per day, {year} per year: {capacity.beside_plaintext:.2g} of WiFi sessions in plaintext",
        f"memory   --cache-mib {capacity.cache_mib} keeps 30 days in memory; if all their cells are opened, that is "
        f"{screen.mebibytes(capacity.opened_bytes)}",
    ]


def _fetched(capacity: CapacityPlan) -> list[str]:
    rows = [
        [
            name,
            f"{fetched.segments:,.1f}",
            screen.mebibytes(fetched.bytes),
            screen.mebibytes(fetched.counted_bytes),
            screen.mebibytes(fetched.columns_bytes),
            screen.mebibytes(fetched.whole_days_bytes),
        ]
        for name, fetched in capacity.fetched.items()
    ]
    return [
        *aligned(_QUESTIONS, rows, _LINE_CHARACTERS, right=_QUESTIONS[1:]),
        "prefetch hides which part of its days a question is about, to the width of a segment",
    ]


def _covered(capacity: CapacityPlan) -> list[str]:
    rows = [
        [
            name,
            screen.number(cover.records),
            screen.mebibytes(cover.sent_bytes),
            f"{cover.sent_bytes / capacity.stored_bytes_a_day:,.0f} times",
        ]
        for name, cover in capacity.cover.items()
    ]
    return [
        *aligned(_COVERS, rows, _LINE_CHARACTERS, right=_COVERS[1:]),
        "cover traffic hides when records arrive and how many, up to this many each time; the rest waits, and",
        "compaction reduces it to what is stored, which shows how many there are in total",
    ]
