"""`privacyplease simulate`: a session log of a simulated campus."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from privacyplease.cli.output import screen

__all__ = ["simulate"]

_STDOUT = "-"
_MONDAY = datetime(2024, 10, 7, tzinfo=UTC)


def simulate(
    devices: Annotated[int, typer.Option(min=1, metavar="N", help="Devices that belong to the campus.")] = 500,
    places: Annotated[int, typer.Option(min=1, metavar="N", help="Access points.")] = 40,
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Days.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same log.")] = 1,
    start: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="DAY", show_default=False, help="The first day, UTC; by default 2024-10-07."
        ),
    ] = _MONDAY,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write the log, gzipped if it ends in .gz; - is stdout."
        ),
    ] = _STDOUT,
) -> None:
    """Generate a WiFi session log of a simulated campus.

    Example: privacyplease simulate --devices 500 --places 40 --days 1 --seed 1 -o campus.csv.gz
    """
    from privacyplease.ingest import wifi
    from privacyplease.ingest.simulate import simulate as simulate_days

    with _open(output) as stream:
        tables = simulate_days(devices=devices, places=places, days=days, seed=seed, start=start.date())
        count = wifi.write(tables, stream)
    sessions = f"{screen.counted(count, 'session')} of {screen.counted(devices, 'device')}"
    screen.note(f"{sessions} at {screen.counted(places, 'place')} over {screen.counted(days, 'day')}")


@contextlib.contextmanager
def _open(output: str) -> Iterator[BinaryIO]:
    if output == _STDOUT:
        yield sys.stdout.buffer
        return
    with Path(output).open("wb") as file:
        if not output.endswith(".gz"):
            yield file
            return
        # Without name and time, so that one seed gives one file; at the lowest level, since the text is repetitive.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as compressed:
            yield cast(BinaryIO, compressed)
