"""`privacyplease query`: whole records of any data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.completion import column_names, dataset_names, index_names, key_names
from privacyplease.cli.options import From, Purpose, To, Zone, read_range
from privacyplease.cli.target import connect


def query(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="The data set, as wifi.", autocompletion=dataset_names)
    ],
    start: From,
    end: To,
    index: Annotated[
        str, typer.Option(help="Find by `subject` (a device) or by `place`.", autocompletion=index_names)
    ] = "subject",
    key: Annotated[
        str | None, typer.Option(metavar="K", help="Only this device, or this place.", autocompletion=key_names)
    ] = None,
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

    Example: privacyplease query wifi --from -1d --to now --index place --key ap-29 --purpose "fire drill" -o ap.arrow
    """
    from privacyplease.cli.record_formats import CSV, JSON_LINES, format_of

    wanted = format_of(output) if output else JSON_LINES if json else CSV
    span = read_range(start, end, timezone)
    with connect(context) as client:
        records = client.query(dataset, index, span.start, span.end, key, column, purpose=purpose)
        if output is None:
            wanted.write(records, screen.binary_out())
            return
        with output.open("wb") as file:
            rows = wanted.write(records, file)
    screen.note(f"{screen.counted(rows, 'record')} in {output}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(query)
