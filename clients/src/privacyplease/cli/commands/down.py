"""`privacyplease down`: stops what `up` started."""

from __future__ import annotations

import typer

from privacyplease.cli.connection import connection_options
from privacyplease.cli.output import screen


def down(context: typer.Context) -> None:
    """Stop what `up` started.

    It is not an error if nothing is running.

    Example: privacyplease down
    """
    home = connection_options(context).home
    running = home.running()
    if running is None:
        screen.note(f"nothing is running in {home.path}")
        return
    with home.locked():
        home.forget()  # first, so that an `up` in another terminal knows that the servers are stopped on purpose
        for server in running.processes:
            alive = server.process() is not None
            server.stop()
            screen.note(f"{server.name}: {'stopped' if alive else 'had already ended'}")
