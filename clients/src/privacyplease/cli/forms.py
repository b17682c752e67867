"""The forms of an answer that are for programs: a JSON document, or a table as CSV.

>>> written({"datasets": ["wifi"], "storage": {"cells": 396, "store": None}}, json=False, csv=True)
name,value
datasets.0,wifi
storage.cells,396
storage.store,
True
"""

from __future__ import annotations

import csv as csv_
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from privacyplease.cli import screen


def _the_only_one(context: typer.Context, asked: bool) -> bool:
    if asked and (context.params.get("json") or context.params.get("csv")):
        raise typer.BadParameter("expected --json or --csv, got both")
    return asked


Json = Annotated[bool, typer.Option("--json", callback=_the_only_one, help="Print the answer as JSON, times in UTC.")]
Csv = Annotated[bool, typer.Option("--csv", callback=_the_only_one, help="Print the answer as CSV, times in UTC.")]


def written(
    document: Mapping[str, Any],
    json: bool,
    csv: bool,
    columns: Sequence[str] = (),
    rows: Iterable[Mapping[str, Any]] = (),
) -> bool:
    """Writes an answer in the form that was asked for.

    Args:
        document: The answer, as JSON has it.
        json: Whether --json was given.
        csv: Whether --csv was given.
        columns: The columns of the CSV; without any, each value of the document is a row of `name` and `value`.
        rows: What the columns are taken from; what is more is left out.

    Returns:
        False if neither form was asked for: then the answer is for people.
    """
    if json:
        screen.print_json(document)
    elif csv:
        _print_csv(columns or ("name", "value"), rows if columns else _values(document))
    return json or csv


def _print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    lines = csv_.writer(sys.stdout, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows([_plain(row[column]) for column in columns] for row in rows)


def _values(value: Any, name: str = "") -> Iterator[dict[str, Any]]:  # noqa: ANN401 (whatever JSON knows)
    """The values of a document, by the path that leads to each."""
    if isinstance(value, Mapping | list | tuple):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, each in pairs:
            yield from _values(each, f"{name}.{key}" if name else str(key))
    else:
        yield {"name": name, "value": value}


def _plain(value: Any) -> Any:  # noqa: ANN401
    """As JSON spells it, but nothing for null, and a list as its entries."""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
