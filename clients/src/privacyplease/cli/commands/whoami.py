"""`privacyplease whoami`: what the policy allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import humanised, seconds

if TYPE_CHECKING:
    from privacyplease.client import Access


def whoami(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """Show who the proxy says you are, and what you may ask.

    --json prints the roles and their limits; null means unlimited.

    Example: privacyplease whoami
    """
    with connect(context) as client:
        access = client.whoami()
    if not printed_for_programs(as_document(access), json, csv):
        _show(access)


def as_document(access: Access) -> dict[str, Any]:
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
        "name": access.name or "none: plaintext, on loopback only",
        "roles": ", ".join(access.roles) or "none: the policy allows nothing",
        "data sets": ", ".join(access.datasets) or "all",
        "devices": ", ".join(access.devices) or "none of your own",
        "purposes": ", ".join(access.purposes) or "any",
        "interval": "any" if longest is None else f"at most {humanised(longest)}",
        "rate": f"at most {screen.counted(rate, 'call')} per minute" if rate else "any",
    }
    if access.may_act_for:
        lines["acts for"] = f"{', '.join(access.may_act_for)}; may not ask on its own behalf"
    for name, value in lines.items():
        screen.out().print(f"{name:11}{value}")
