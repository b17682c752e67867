"""`privacyplease explain`: what the storage server sees of a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import Dataset, From, Place, Purpose, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.output.counts import bounds, count_text
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs

if TYPE_CHECKING:
    from privacyplease.client import ExplainedCell, Explanation

_MOST_CELLS = 8
_COLUMNS = ("tag", "head", "size", "records_opened", "records_kept", "rollup")
_HEADINGS = ("tag", "ciphertext", "bytes", "opened", "kept")

Device = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="Sessions of this device, instead of a count.")
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
    """What the storage server sees of a question.

    The question is the one that `count` asks, or `presence` with --device.

    The tags depend only on the time range: they are the same for every device and place. A count over a long time
    asks for roll-ups, which hold a sketch for each place of the devices that were there during a settled segment.

    Only the first tags and cells are shown. --json prints them in hexadecimal, --csv the cells.

    Example: privacyplease explain --from 2024-10-01T08:00Z --to 2024-10-01T09:00Z --place ap-29
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        explanation = client.explain(span.start, span.end, place=place, device=device, dataset=dataset, purpose=purpose)
    document = as_document(explanation)
    if not printed_for_programs(document, json, csv, _COLUMNS, document["first_cells"]):
        _show(explanation, "session" if device else "distinct device")


def as_document(explanation: Explanation) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "tags": explanation.tags,
        "first_tags": [tag.hex() for tag in explanation.first_tags],
        "cells": explanation.cells,
        "bytes": explanation.bytes,
        "first_cells": [{name: _as_json(getattr(cell, name)) for name in _COLUMNS} for cell in explanation.first_cells],
        "records_opened": explanation.records_opened,
        "records_kept": explanation.records_kept,
        "records_distinct": explanation.records_distinct,
        "answer": explanation.answer,
        **bounds(explanation.answer),
        "rollup_tags": explanation.rollup_tags,
        "rollup_cells": explanation.rollup_cells,
        "sketches_opened": explanation.sketches_opened,
        "sketches_kept": explanation.sketches_kept,
    }


def _as_json(value: bytes | int) -> str | int:
    return value.hex() if isinstance(value, bytes) else value


def _show(explanation: Explanation, noun: str) -> None:
    out = screen.out()
    cells, size = screen.counted(explanation.cells, "cell"), screen.mebibytes(explanation.bytes)
    rollups = f", {screen.number(explanation.rollup_tags)} of them of roll-ups" if explanation.rollup_tags else ""
    out.print(f"sent       {screen.counted(explanation.tags, 'tag')}{rollups}")
    out.print(f"received   {cells}, {size} of ciphertext")
    if explanation.first_cells:
        rows = [_row(cell) for cell in explanation.first_cells[:_MOST_CELLS]]
        for line in aligned(_HEADINGS, rows, out.width, right=_HEADINGS[2:], elastic="ciphertext"):
            out.print(line)
    if (more := explanation.cells - _MOST_CELLS) > 0:
        out.print(f"… and {screen.counted(more, 'cell')} more")
    out.print(f"opened     {_opened(explanation)}")
    if explanation.rollup_cells:
        sketches = screen.counted(explanation.sketches_opened, "sketch", "sketches")
        out.print(f"           {sketches}, {screen.number(explanation.sketches_kept)} of them for the answer")
    out.print(f"answer     {count_text(explanation.answer, noun)}")


def _opened(explanation: Explanation) -> str:
    opened, kept = screen.counted(explanation.records_opened, "record"), explanation.records_kept
    distinct = explanation.records_distinct
    repeated = f", {screen.number(distinct)} distinct" if distinct < kept else ""
    return f"{opened}, {screen.number(kept)} of them for the answer{repeated}"


def _row(cell: ExplainedCell) -> tuple[str, ...]:
    opened = (
        screen.counted(cell.records_opened, "sketch", "sketches") if cell.rollup else screen.number(cell.records_opened)
    )
    head = f"{cell.head[:16].hex()}…"
    return cell.tag.hex(), head, screen.number(cell.size), opened, screen.number(cell.records_kept)
