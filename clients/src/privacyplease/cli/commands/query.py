"""`privacyplease query`: whole records of any data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli.completion import column_names, dataset_names
from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import From, Place, Purpose, To, Zone
from privacyplease.cli.output import screen


def query(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="The data set, e.g. wifi.", autocompletion=dataset_names)
    ],
    start: From,
    end: To,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="S", help="Only records of this device or bike station.")
    ] = None,
    place: Place = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="C", help="A column to print; repeatable. Default: all.", autocompletion=column_names),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file: .arrow, .csv or .jsonl."),
    ] = None,
    purpose: Purpose = "",
    timezone: Zone = "UTC",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per record instead of CSV.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, which is the default.")] = False,
) -> None:
    """Whole records of a data set, as CSV, JSON lines or Arrow.

    A purpose is required for records about people.

    Example: privacyplease query wifi --from -1d --to now --place ap-29 --purpose "fire drill" -o ap.arrow
    """
    from privacyplease.cli.output.record_formats import CSV, JSON_LINES, format_of

    record_format = format_of(output) if output else JSON_LINES if json else CSV
    span = read_range(start, end, timezone)
    with connect(context) as client:
        records = client.query(
            dataset, span.start, span.end, subject=subject, place=place, columns=column, purpose=purpose
        )
        if output is None:
            record_format.write(records, screen.binary_out())
            return
        with output.open("wb") as file:
            rows = record_format.write(records, file)
    screen.note(f"{screen.counted(rows, 'record')} in {output}")
