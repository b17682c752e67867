"""`privacyplease watch`: who is there now, again and again."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.clocks import AsOf, Speed, read_clock
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, Zone, read_width, read_zone
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised

if TYPE_CHECKING:
    from datetime import timedelta, tzinfo

    from privacyplease.cli.clocks import Clock
    from privacyplease.cli.watching import Watch

Every = Annotated[str, typer.Option("--every", metavar="WIDTH", help="How often to look.")]
Window = Annotated[str, typer.Option("--window", metavar="WIDTH", help="Whoever was seen so lately is there.")]


def watch(
    context: typer.Context,
    every: Every = "5s",
    window: Window = "15m",
    as_of: AsOf = None,
    speed: Speed = 1,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many are there now, by floor and place, until Ctrl-C.

    What is no terminal gets one look, and so do --json and --csv.

    Example: privacyplease watch --every 10s
    """
    from privacyplease.cli.watching import Watch, document, frame

    zone, clock = read_zone(timezone), read_clock(as_of, speed, timezone)
    width, pause = read_width(window, "--window"), read_width(every, "--every")
    with connect(context) as client:
        watch = Watch(client, width, dataset)
        if not (json or csv) and screen.out().is_terminal:
            _live(watch, pause, clock, zone)
            return
        look = watch.look(clock())
    told = document(look)
    if not written(told, json, csv, ("place", "distinct_devices"), told["places"]):
        out = screen.out()
        for line in frame(look, zone, out.width):
            out.print(line)


def _live(watch: Watch, pause: timedelta, clock: Clock, zone: tzinfo) -> None:
    """Looks until Ctrl-C. While nobody answers, the last look stays, and what is wrong stands below it."""
    from rich.live import Live
    from rich.text import Text

    from privacyplease.cli.watching import frame
    from privacyplease.client.errors import TryAgainError

    console, lines = screen.out(), ["looking"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                problem = []
                try:
                    lines = frame(watch.look(clock()), zone, console.width, console.height - 2)
                except TryAgainError as error:
                    problem = [f"error: {error}", f"trying again every {humanised(pause)}"]
                live.update(Text("\n".join([*lines, *problem]), no_wrap=True, overflow="ellipsis"), refresh=True)
                time.sleep(pause.total_seconds())
    except KeyboardInterrupt:
        return


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(watch)
