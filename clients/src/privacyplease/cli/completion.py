"""What the shell offers for Tab: names that the proxy knows, but no devices. Whatever goes wrong, it offers nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from privacyplease.cli.failures import failure_of

if TYPE_CHECKING:
    from privacyplease.client import Client, Dataset

# Whoever waits for a name types on.
_TIMEOUT_S = 1.0
_LATELY = "-7d"


def dataset_names(context: typer.Context, incomplete: str) -> list[str]:
    """The data sets that begin so."""
    return _names(context, incomplete, lambda client: [dataset.name for dataset in client.datasets()])


def place_names(context: typer.Context, incomplete: str) -> list[str]:
    """The places that begin so and had anybody in the interval of the line; without one, in the last week."""
    from privacyplease.cli.options import read_range

    def places(client: Client) -> Iterable[str]:
        given = context.params
        span = read_range(given.get("start") or _LATELY, given.get("end") or "now", given.get("timezone") or "UTC")
        return client.list_places(span.start, span.end, dataset=_dataset_name(context)).places

    return _names(context, incomplete, places)


def column_names(context: typer.Context, incomplete: str) -> list[str]:
    """The columns of the line's data set that begin so."""
    return _names(
        context,
        incomplete,
        lambda client: [column.name for dataset in _datasets(client, context) for column in dataset.columns],
    )


def _datasets(client: Client, context: typer.Context) -> list[Dataset]:
    """The data set of the line, or nothing if there is none of that name."""
    return [dataset for dataset in client.datasets() if dataset.name == _dataset_name(context)]


def _dataset_name(context: typer.Context) -> str:
    """The data set of the line; while an option lacks its value, click has not yet made arguments of other words."""
    return context.params.get("dataset") or next(iter(context.args), "wifi")


def _names(context: typer.Context, incomplete: str, ask: Callable[[Client], Iterable[str]]) -> list[str]:
    from privacyplease.cli.target import target_of
    from privacyplease.client import Client

    given = context.find_root().params
    try:
        asked = target_of(given.get("proxy"), given.get("home"), given.get("certificates"), bool(given.get("insecure")))
        certificates, insecure = asked.certificate(), asked.plaintext()
        with Client(asked.address(), certificates=certificates, insecure=insecure, timeout=_TIMEOUT_S) as client:
            return [name for name in ask(client) if name.startswith(incomplete)]
    except Exception as error:
        if failure_of(error) is None:
            raise
        return []
