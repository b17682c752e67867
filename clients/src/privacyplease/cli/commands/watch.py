"""`privacyplease watch`: how many people are where now, refreshed until Ctrl-C."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_clock, read_duration, read_zone
from privacyplease.cli.options import AsOf, Dataset, Speed, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.occupancy_snapshot import OccupancySnapshot, as_document, screen_lines
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import humanised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from privacyplease.cli.clocks import Clock
    from privacyplease.client import Client

# Locations hardly ever change, and listing them is the most expensive of the questions.
_LOCATIONS_KEPT_FOR = timedelta(hours=1)
_LOCATIONS_LOOK_BACK = timedelta(days=1)

Every = Annotated[str, typer.Option("--every", metavar="DURATION", help="How often to refresh.")]
Window = Annotated[str, typer.Option("--window", metavar="DURATION", help="Count devices seen within this time.")]


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
    """How many devices are on each floor and at each place, live.

    It refreshes until Ctrl-C. If the output is not a terminal, or with --json or --csv, it prints once and ends.

    Example: privacyplease watch --every 10s
    """
    zone, clock = read_zone(timezone), read_clock(as_of, speed, timezone)
    seen_within, pause = read_duration(window, "--window"), read_duration(every, "--every")
    with connect(context) as client:
        watcher = _Watcher(client, seen_within, dataset)
        if not (json or csv) and screen.out().is_terminal:
            _refresh(watcher, pause, clock, zone)
            return
        snapshot = watcher.snapshot(clock())
    document = as_document(snapshot)
    if not printed_for_programs(document, json, csv, ("place", "distinct_devices"), document["places"]):
        out = screen.out()
        for line in screen_lines(snapshot, zone, out.width):
            out.print(line)


class _Watcher:
    """Takes one snapshot after another.

    Args:
        client: The client to ask with.
        window: A device counts as present if it was seen in this time before a snapshot.
        dataset: The data set to query.
    """

    def __init__(self, client: Client, window: timedelta, dataset: str) -> None:
        self._client = client
        self._window = window
        self._dataset = dataset
        self._floors: Mapping[str, Sequence[str]] = {}
        self._floors_as_of: datetime | None = None

    def snapshot(self, at: datetime) -> OccupancySnapshot:
        """The snapshot of a moment, which must not be before that of an earlier call."""
        start = at - self._window
        people = self._client.count(start, at, dataset=self._dataset)
        places = list(self._client.count_by_place(start, at, dataset=self._dataset))
        groups = self._groups(at)
        counts = self._client.count_by_place(start, at, groups=groups, dataset=self._dataset) if groups else ()
        floors = [count for count in counts if count.place in groups]
        return OccupancySnapshot(at, self._window, people, floors, places)

    def _groups(self, at: datetime) -> Mapping[str, Sequence[str]]:
        if self._floors_as_of is None or at - self._floors_as_of > _LOCATIONS_KEPT_FOR:
            self._floors = self._client.list_places(at - _LOCATIONS_LOOK_BACK, at, dataset=self._dataset).groups()
            self._floors_as_of = at
        return self._floors


def _refresh(watcher: _Watcher, pause: timedelta, clock: Clock, zone: tzinfo) -> None:
    """Refreshes the screen until Ctrl-C. While the proxy does not answer, the last snapshot stays, with the error."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from privacyplease.client.errors import TryAgainError

    console, lines = Console(), ["loading"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                problem = []
                try:
                    lines = screen_lines(watcher.snapshot(clock()), zone, console.width, console.height - 2)
                except TryAgainError as error:
                    problem = [f"error: {error}", f"trying again every {humanised(pause)}"]
                live.update(Text("\n".join([*lines, *problem]), no_wrap=True, overflow="ellipsis"), refresh=True)
                time.sleep(pause.total_seconds())
    except KeyboardInterrupt:
        return
