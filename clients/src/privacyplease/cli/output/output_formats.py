"""The output formats for programs: a JSON document, or a table as CSV.

>>> printed_for_programs({"datasets": ["wifi"], "storage": {"cells": 396, "store": None}}, json=False, csv=True)
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

from privacyplease.cli.output import screen
from privacyplease.cli.output.formula_escaping import escaped


def _require_one_format(context: typer.Context, wanted: bool) -> bool:
    if wanted and (context.params.get("json") or context.params.get("csv")):
        raise typer.BadParameter("expected --json or --csv, got both")
    return wanted


Json = Annotated[
    bool, typer.Option("--json", callback=_require_one_format, help="Print the answer as JSON, times in UTC.")
]
Csv = Annotated[
    bool, typer.Option("--csv", callback=_require_one_format, help="Print the answer as CSV, times in UTC.")
]


def printed_for_programs(
    document: Mapping[str, Any],
    json: bool,
    csv: bool,
    columns: Sequence[str] = (),
    rows: Iterable[Mapping[str, Any]] = (),
) -> bool:
    """Prints an answer as JSON or CSV if either was requested.

    Args:
        document: The answer as JSON.
        json: Whether --json was given.
        csv: Whether --csv was given.
        columns: The columns of the CSV; without any, each value of the document is a row of `name` and `value`.
        rows: The rows of the CSV; keys that are not in `columns` are left out.

    Returns:
        False if neither was requested: the answer is then for people, and nothing was printed.
    """
    if json:
        screen.print_json(document)
    elif csv:
        _print_csv(columns or ("name", "value"), rows if columns else _values(document))
    return json or csv


def _print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    lines = csv_.writer(sys.stdout, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows([_as_csv(row[column]) for column in columns] for row in rows)


def _values(value: Any, path: str = "") -> Iterator[dict[str, Any]]:  # noqa: ANN401 (any JSON value)
    """The values of a document, each with its path."""
    if isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _values(item, f"{path}.{key}" if path else str(key))
    else:
        yield {"name": path, "value": value}


def _as_csv(value: Any) -> Any:  # noqa: ANN401
    """As JSON spells it, but null is empty, a list is its entries, and no text is a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return escaped(text) if isinstance(text, str) else text
