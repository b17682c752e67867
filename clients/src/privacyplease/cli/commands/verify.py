"""`privacyplease verify`: whether the storage server has what it must have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.exits import ExitCode
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Zone, read_instant, read_zone
from privacyplease.cli.target import connect
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from privacyplease.client import Finding, Verification, VerificationProgress

_MOST_LINES = 50
_COUNTS = ("missing", "unexpected", "damaged")
_COLUMNS = ("dataset", "group", "first_start", "last_start", *_COUNTS)
_HEADINGS = ("data set", "group", "records from", "to", *_COUNTS)

_From = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Only what can hold records from then on, as -30d.")
]
_To = Annotated[str | None, typer.Option("--to", metavar="T", help="Only what can hold records until then.")]
_Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Only this data set.")]


def verify(
    context: typer.Context,
    start: _From = None,
    end: _To = None,
    dataset: _Dataset = None,
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Check the store by its manifest: what is missing or damaged?

    Reads and opens every cell, while records may come in. Exits with 5 if anything is wrong.

    Example: privacyplease verify --from -30d
    """
    zone = read_zone(timezone)
    first, last = (_instant(text, zone, option) for text, option in ((start, "--from"), (end, "--to")))
    with connect(context) as client, _progress() as told:
        found = client.verify(first, last, dataset=dataset, on_progress=told)
    answer = document(found)
    if not written(answer, json, csv, _COLUMNS, answer["findings"]):
        _show(found, zone)
    if not found.sound:
        raise typer.Exit(ExitCode.UNTRUSTED)


def _instant(text: str | None, zone: tzinfo, option: str) -> datetime | None:
    return None if text is None else read_instant(text, zone, option)


@contextmanager
def _progress() -> Iterator[Callable[[VerificationProgress], None]]:
    """A bar on stderr; nothing if that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking", total=None)

        def told(done: VerificationProgress) -> None:
            what = f"{screen.counted(done.cells, 'cell')}, {screen.counted(done.findings, 'finding')}"
            bar.update(task, completed=done.tags, total=done.tags_total, description=what)

        yield told


def document(found: Verification) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "sound": found.sound,
        "cells": found.cells,
        "tags": found.tags,
        "missing": found.missing,
        "unexpected": found.unexpected,
        "damaged": found.damaged,
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
            for finding in found.findings
        ],
    }


def _show(found: Verification, zone: tzinfo) -> None:
    out = screen.out()
    if found.sound:
        out.print(f"{screen.counted(found.cells, 'cell')} checked: all are there, open, and belong to the store")
        return
    lines = [_line(finding, zone) for finding in found.findings[:_MOST_LINES]]
    for line in aligned(_HEADINGS, lines, out.width, right=_COUNTS):
        out.print(line)
    if len(found.findings) > _MOST_LINES:
        screen.note(f"{screen.counted(len(found.findings) - _MOST_LINES, 'finding')} more; --json prints all")
    wrong = ", ".join(f"{screen.number(getattr(found, kind))} {kind}" for kind in _COUNTS)
    out.print(f"{screen.counted(found.cells, 'cell')} checked: {wrong}")


def _line(finding: Finding, zone: tzinfo) -> tuple[str, ...]:
    span = iso(finding.first_start, zone), iso(finding.last_start, zone)
    return finding.dataset, finding.group, *span, *(screen.number(getattr(finding, kind)) for kind in _COUNTS)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)
