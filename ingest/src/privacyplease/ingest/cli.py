"""The commands of this zone: `privacyplease ingest ...` and `privacyplease simulate`."""

import typer

from privacyplease.ingest.commands import consume, dead_letters, poll, replay, spark, wifi
from privacyplease.ingest.commands.simulate import simulate

__all__ = ["app", "simulate"]

app = typer.Typer(help="Send records to the proxy.")


@app.callback()
def sources() -> None:
    """Send records to the proxy."""


for _command in (wifi, replay, poll, consume, spark, dead_letters):
    _command.register(app)
