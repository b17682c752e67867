"""`privacyplease whoami`: what the policy allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised, seconds

if TYPE_CHECKING:
    from privacyplease.client import Access


def whoami(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """Show whom the proxy takes you for, and what you may ask.

    --json prints the roles and their limits; what is not limited is null.

    Example: privacyplease whoami
    """
    with connect(context) as client:
        found = client.whoami()
    if not written(document(found), json, csv):
        _show(found)


def document(access: Access) -> dict[str, Any]:
    """The answer as --json prints it."""
    longest = access.longest_interval
    return {
        "name": access.name or None,
        "roles": list(access.roles),
        "datasets": list(access.datasets) or None,
        "devices": list(access.devices),
        "purposes": list(access.purposes) or None,
        "longest_interval": None if longest is None else seconds(longest),
        "calls_per_minute": access.calls_per_minute or None,
        "may_act_for": list(access.may_act_for),
    }


def _show(access: Access) -> None:
    longest, rate = access.longest_interval, access.calls_per_minute
    lines = {
        "name": access.name or "none: plaintext, on this machine alone",
        "roles": ", ".join(access.roles) or "none: the policy allows nothing",
        "data sets": ", ".join(access.datasets) or "all",
        "devices": ", ".join(access.devices) or "none of your own",
        "purposes": ", ".join(access.purposes) or "any",
        "interval": "any" if longest is None else f"at most {humanised(longest)}",
        "rate": f"at most {screen.counted(rate, 'call')} a minute" if rate else "any",
    }
    if access.may_act_for:
        lines["acts for"] = f"{', '.join(access.may_act_for)}; asks nothing in its own name"
    for name, value in lines.items():
        screen.out().print(f"{name:11}{value}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(whoami)
