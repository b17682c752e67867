"""`privacyplease verify`: whether the storage server has every cell that it must have."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.option_values import read_optional_instant, read_zone
from privacyplease.cli.options import OnlyDataset, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

    from privacyplease.client import Finding, Verification, VerificationProgress

_MOST_LINES = 50
_COUNTS = ("missing", "unexpected", "damaged")
_COLUMNS = ("dataset", "group", "first_start", "last_start", *_COUNTS)
_HEADINGS = ("data set", "group", "records from", "to", *_COUNTS)

Start = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Only segments that may hold records from then on: -30d.")
]
End = Annotated[str | None, typer.Option("--to", metavar="T", help="Only segments that may hold records until then.")]


def verify(
    context: typer.Context,
    start: Start = None,
    end: End = None,
    dataset: OnlyDataset = None,
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Check the store for missing or damaged cells.

    It reads and opens every cell in the manifest; records may be ingested meanwhile. Exits with 5 if anything is wrong.

    Example: privacyplease verify --from -30d
    """
    zone = read_zone(timezone)
    first, last = read_optional_instant(start, zone, "--from"), read_optional_instant(end, zone, "--to")
    with connect(context) as client, _progress() as on_progress:
        verification = client.verify(first, last, dataset=dataset, on_progress=on_progress)
    document = as_document(verification)
    if not printed_for_programs(document, json, csv, _COLUMNS, document["findings"]):
        _show(verification, zone)
    if not verification.sound:
        raise typer.Exit(ExitCode.UNTRUSTED)


@contextmanager
def _progress() -> Iterator[Callable[[VerificationProgress], None]]:
    """A progress bar on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking", total=None)

        def on_progress(progress: VerificationProgress) -> None:
            description = f"{screen.counted(progress.cells, 'cell')}, {screen.counted(progress.findings, 'finding')}"
            bar.update(task, completed=progress.tags, total=progress.tags_total, description=description)

        yield on_progress


def as_document(verification: Verification) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "sound": verification.sound,
        "cells": verification.cells,
        "tags": verification.tags,
        "missing": verification.missing,
        "unexpected": verification.unexpected,
        "damaged": verification.damaged,
        "findings": [
            {
                "dataset": finding.dataset,
                "group": finding.group,
                "first_start": iso(finding.first_start, UTC),
                "last_start": iso(finding.last_start, UTC),
                "missing": finding.missing,
                "unexpected": finding.unexpected,
                "damaged": finding.damaged,
            }
            for finding in verification.findings
        ],
    }


def _show(verification: Verification, zone: tzinfo) -> None:
    out = screen.out()
    if verification.sound:
        out.print(f"{screen.counted(verification.cells, 'cell')} checked: all are present and intact")
        return
    rows = [_row(finding, zone) for finding in verification.findings[:_MOST_LINES]]
    for line in aligned(_HEADINGS, rows, out.width, right=_COUNTS):
        out.print(line)
    if len(verification.findings) > _MOST_LINES:
        screen.note(
            f"{screen.counted(len(verification.findings) - _MOST_LINES, 'finding')} more; --json prints them all"
        )
    wrong = ", ".join(f"{screen.number(getattr(verification, kind))} {kind}" for kind in _COUNTS)
    out.print(f"{screen.counted(verification.cells, 'cell')} checked: {wrong}")


def _row(finding: Finding, zone: tzinfo) -> tuple[str, ...]:
    span = iso(finding.first_start, zone), iso(finding.last_start, zone)
    return finding.dataset, finding.group, *span, *(screen.number(getattr(finding, kind)) for kind in _COUNTS)
