"""What the shell offers on Tab: names that the proxy knows, but never devices. If anything fails, it offers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from privacyplease.cli.connection import read_connection
from privacyplease.cli.failures import failure_of
from privacyplease.cli.option_values import read_range

if TYPE_CHECKING:
    from privacyplease.client import Client, Dataset

# A person who waits longer for a name types on.
_TIMEOUT_S = 1.0
_RECENT = "-7d"


def dataset_names(context: typer.Context, incomplete: str) -> list[str]:
    """The data sets whose names start with what was typed."""
    return _names(context, incomplete, lambda client: [dataset.name for dataset in client.datasets()])


def place_names(context: typer.Context, incomplete: str) -> list[str]:
    """The places that had a device in the interval on the command line; without one, in the last week."""

    def places(client: Client) -> Iterable[str]:
        given = context.params
        span = read_range(given.get("start") or _RECENT, given.get("end") or "now", given.get("timezone") or "UTC")
        return client.list_places(span.start, span.end, dataset=_dataset_name(context)).places

    return _names(context, incomplete, places)


def column_names(context: typer.Context, incomplete: str) -> list[str]:
    """The columns of the data set on the command line."""
    return _names(
        context,
        incomplete,
        lambda client: [column.name for dataset in _datasets(client, context) for column in dataset.columns],
    )


def _datasets(client: Client, context: typer.Context) -> list[Dataset]:
    """The data set on the command line; empty if there is none of that name."""
    return [dataset for dataset in client.datasets() if dataset.name == _dataset_name(context)]


def _dataset_name(context: typer.Context) -> str:
    """The data set on the command line; while an option lacks its value, its argument is not parsed yet."""
    return context.params.get("dataset") or next(iter(context.args), "wifi")


def _names(context: typer.Context, incomplete: str, query: Callable[[Client], Iterable[str]]) -> list[str]:
    given = context.find_root().params
    # While a line is completed, options still have the text that was typed.
    home, certificates = (Path(folder) if (folder := given.get(name)) else None for name in ("home", "certificates"))
    try:
        connection = read_connection(given.get("proxy"), home, certificates, bool(given.get("insecure")))
        with connection.client(timeout=_TIMEOUT_S) as client:
            return [name for name in query(client) if name.startswith(incomplete)]
    except Exception as error:
        if failure_of(error) is None:
            raise
        return []
