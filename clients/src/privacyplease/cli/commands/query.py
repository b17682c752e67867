"""`privacyplease query`: whole records of any data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.completion import column_names, dataset_names
from privacyplease.cli.options import From, Place, Purpose, To, Zone, read_range
from privacyplease.cli.target import connect


def query(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="The data set, as wifi.", autocompletion=dataset_names)
    ],
    start: From,
    end: To,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="S", help="Only of this device, or bike station.")
    ] = None,
    place: Place = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="C", help="A column wanted; may be repeated.", autocompletion=column_names),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE: .arrow, .csv or .jsonl.")
    ] = None,
    purpose: Purpose = "",
    timezone: Zone = "UTC",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a record; else CSV.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV; so it is without, too.")] = False,
) -> None:
    """Whole records of a data set, as CSV, JSON lines or Arrow.

    Of persons it is asked for a purpose, which must be stated.

    Example: privacyplease query wifi --from -1d --to now --place ap-29 --purpose "fire drill" -o ap.arrow
    """
    from privacyplease.cli.record_formats import CSV, JSON_LINES, format_of

    wanted = format_of(output) if output else JSON_LINES if json else CSV
    span = read_range(start, end, timezone)
    with connect(context) as client:
        records = client.query(
            dataset, span.start, span.end, subject=subject, place=place, columns=column, purpose=purpose
        )
        if output is None:
            wanted.write(records, screen.binary_out())
            return
        with output.open("wb") as file:
            rows = wanted.write(records, file)
    screen.note(f"{screen.counted(rows, 'record')} in {output}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(query)
