"""The commands that bring records to Kafka and from there to the proxy, a file each.

Like `privacyplease.ingest.cli`, what these modules need is imported when a command runs.
"""

import typer

from privacyplease.ingest.commands import consume, dlq, poll, replay

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the commands to a group."""
    replay.register(app)
    poll.register(app)
    consume.register(app)
    dlq.register(app)
