"""What is taken for now: the real time, or another, which may pass faster.

>>> from datetime import UTC, datetime
>>> clock = clock_from(datetime(2024, 10, 1, 8, tzinfo=UTC), speed=60, elapsed=iter([100.0, 130.0]).__next__)
>>> clock().isoformat()
'2024-10-01T08:30:00+00:00'
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import typer

from privacyplease.cli.options import read_instant, read_zone

Clock = Callable[[], datetime]

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="T", help="Take this for now, as 2024-10-01T08:00Z: to look at an old log."),
]
Speed = Annotated[
    float, typer.Option("--speed", metavar="N", min=0, help="How fast time passes from there on: 60, an hour a minute.")
]


def clock_from(start: datetime, speed: float = 1, elapsed: Callable[[], float] = time.monotonic) -> Clock:
    """A clock that shows `start` now.

    Args:
        start: The time that it shows first.
        speed: How many times as fast as the real one it goes.
        elapsed: Seconds of the real one.
    """
    began = elapsed()
    return lambda: start + timedelta(seconds=(elapsed() - began) * speed)


def read_clock(as_of: str | None, speed: float, timezone: str) -> Clock:
    """Reads --as-of and --speed.

    Raises:
        typer.BadParameter: One of them is not what its help says.
    """
    if as_of is not None:
        return clock_from(read_instant(as_of, read_zone(timezone), "--as-of"), speed)
    if speed != 1:
        raise typer.BadParameter("the present passes at its own pace: give --as-of", param_hint="--speed")
    return partial(datetime.now, UTC)
