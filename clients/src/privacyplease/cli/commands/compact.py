"""`privacyplease compact`: merge what was stored piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Json
from privacyplease.cli.options import Zone, read_range
from privacyplease.cli.target import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from privacyplease.client import Compacted

First = Annotated[str | None, typer.Option("--from", metavar="T", help="Only what can hold records from then on.")]
Last = Annotated[str | None, typer.Option("--to", metavar="T", help="Only what can hold records until then.")]
All = Annotated[bool, typer.Option("--all", help="Also segments of the last minutes.")]
Datasets = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Only this data set.")]


def compact(
    context: typer.Context,
    start: First = None,
    end: Last = None,
    all_: All = False,
    dataset: Datasets = None,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Merge fresh segments into few. Questions then ask for fewer cells.

    The proxy does so by itself; this does it now. No answer changes. What was replaced is removed some minutes later.

    Example: privacyplease compact
    """
    span = read_range(start or "1970-01-01", end or "9999-12-31", timezone)
    with connect(context) as client:
        found = _summed(client.compact(span.start, span.end, dataset=dataset, include_open=all_))
    if json:
        screen.print_json(found)
        return
    merged, written, removed = (screen.counted(found[name], "cell") for name in found)
    screen.out().print(f"{merged} merged into {written}; {removed} removed")


def _summed(steps: Iterable[Compacted]) -> dict[str, int]:
    """What was done in all, with progress on a terminal."""
    from rich.console import Console

    found = {"merged_cells": 0, "written_cells": 0, "removed_cells": 0}
    with Console(stderr=True).status("looking for what there is to do") as progress:
        for step in steps:
            for name in found:
                found[name] += getattr(step, name)
            progress.update(f"{step.dataset}: {screen.counted(found['merged_cells'], 'cell')} merged")
    return found


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(compact)
