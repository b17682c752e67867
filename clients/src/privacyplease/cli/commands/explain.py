"""`privacyplease explain`: what the storage server sees of a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.commands.count import bounds, shown
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, Place, Purpose, To, Zone, read_range
from privacyplease.cli.target import connect

if TYPE_CHECKING:
    from privacyplease.client import ExplainedCell, Explanation

_MOST_CELLS = 8
_COLUMNS = ("tag", "head", "size", "records_opened", "records_kept", "rollup")
_HEADINGS = ("tag", "ciphertext", "bytes", "opened", "kept")

Device = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="Whose sessions; else devices are counted.")
]


def explain(
    context: typer.Context,
    start: From,
    end: To,
    place: Place = None,
    device: Device = None,
    purpose: Purpose = "",
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """What the storage server sees of a question. One as count asks it, or presence with --device.

    The tags follow from the time range alone: they are the same whoever or wherever is asked about. A count over a long
    time asks for roll-ups, which hold a sketch for each place: who was there during a settled segment.

    Tags and cells are the first ones. --json prints them in hexadecimal, --csv the cells.

    Example: privacyplease explain --from 2024-10-01T08:00Z --to 2024-10-01T09:00Z --place ap-29
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        found = client.explain(span.start, span.end, place=place, device=device, dataset=dataset, purpose=purpose)
    told = document(found)
    if not written(told, json, csv, _COLUMNS, told["first_cells"]):
        _show(found, "session" if device else "distinct device")


def document(found: Explanation) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "tags": found.tags,
        "first_tags": [tag.hex() for tag in found.first_tags],
        "cells": found.cells,
        "bytes": found.bytes,
        "first_cells": [{name: _plain(getattr(cell, name)) for name in _COLUMNS} for cell in found.first_cells],
        "records_opened": found.records_opened,
        "records_kept": found.records_kept,
        "records_distinct": found.records_distinct,
        "answer": found.answer,
        **bounds(found.answer),
        "rollup_tags": found.rollup_tags,
        "rollup_cells": found.rollup_cells,
        "sketches_opened": found.sketches_opened,
        "sketches_kept": found.sketches_kept,
    }


def _plain(value: bytes | int) -> str | int:
    return value.hex() if isinstance(value, bytes) else value


def _show(found: Explanation, answer: str) -> None:
    out = screen.out()
    cells, size = screen.counted(found.cells, "cell"), screen.mebibytes(found.bytes)
    opened, kept = screen.counted(found.records_opened, "record"), screen.number(found.records_kept)
    rollups = f", {screen.number(found.rollup_tags)} of them of roll-ups" if found.rollup_tags else ""
    out.print(f"sent       {screen.counted(found.tags, 'tag')}{rollups}")
    out.print(f"came back  {cells}, {size} of ciphertext")
    if found.first_cells:
        rows = [_row(cell) for cell in found.first_cells[:_MOST_CELLS]]
        for line in aligned(_HEADINGS, rows, out.width, right=_HEADINGS[2:], elastic="ciphertext"):
            out.print(line)
    if (more := found.cells - _MOST_CELLS) > 0:
        out.print(f"… and {screen.counted(more, 'cell')} more")
    distinct = (
        f", {screen.number(found.records_distinct)} distinct" if found.records_distinct < found.records_kept else ""
    )
    out.print(f"opened     {opened}, {kept} of them for the answer{distinct}")
    if found.rollup_cells:
        sketches = screen.counted(found.sketches_opened, "sketch", "sketches")
        out.print(f"           {sketches}, {screen.number(found.sketches_kept)} of them for the answer")
    out.print(f"answer     {shown(found.answer, answer)}")


def _row(cell: ExplainedCell) -> tuple[str, ...]:
    held = (
        screen.counted(cell.records_opened, "sketch", "sketches") if cell.rollup else screen.number(cell.records_opened)
    )
    return cell.tag.hex(), f"{cell.head[:16].hex()}…", screen.number(cell.size), held, screen.number(cell.records_kept)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(explain)
