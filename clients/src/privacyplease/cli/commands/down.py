"""`privacyplease down`: stops what `up` started."""

from __future__ import annotations

import typer

from privacyplease.cli import screen
from privacyplease.cli.target import target


def down(context: typer.Context) -> None:
    """Stop what `up` started. If nothing runs, that is fine, too.

    Example: privacyplease down
    """
    home = target(context).home
    running = home.running()
    if running is None:
        screen.note(f"nothing runs in {home.path}")
        return
    with home.locked():
        home.forget()  # first: an `up` that watches in a terminal then knows that this is meant
        for daemon in running.daemons:
            found = daemon.process() is not None
            daemon.stop()
            screen.note(f"{daemon.name}: {'stopped' if found else 'was gone already'}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(down)
