"""`privacyplease compact`: merges recent small segments into large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import OnlyDataset, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from privacyplease.client import Compacted

Start = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Only segments that may hold records from then on.")
]
End = Annotated[str | None, typer.Option("--to", metavar="T", help="Only segments that may hold records until then.")]
All = Annotated[bool, typer.Option("--all", help="Also segments of the last few minutes.")]


def compact(
    context: typer.Context,
    start: Start = None,
    end: End = None,
    all_: All = False,
    dataset: OnlyDataset = None,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Merge recent small segments into large ones.

    Questions then fetch fewer cells, and answers do not change. The proxy does this in the background; this command
    does it now. Cells that were replaced are removed some minutes later.

    Example: privacyplease compact
    """
    span = read_range(start or "1970-01-01", end or "9999-12-31", timezone)
    with connect(context) as client:
        totals = _totals(client.compact(span.start, span.end, dataset=dataset, include_open=all_))
    if json:
        screen.print_json(totals)
        return
    merged, written, removed = (screen.counted(cells, "cell") for cells in totals.values())
    screen.out().print(f"{merged} merged into {written}; {removed} removed")


def _totals(steps: Iterable[Compacted]) -> dict[str, int]:
    """Adds up the steps, with progress on a terminal."""
    from rich.console import Console

    totals = {"merged_cells": 0, "written_cells": 0, "removed_cells": 0}
    with Console(stderr=True).status("looking for segments to merge") as progress:
        for step in steps:
            for name in totals:
                totals[name] += getattr(step, name)
            progress.update(f"{step.dataset}: {screen.counted(totals['merged_cells'], 'cell')} merged")
    return totals
