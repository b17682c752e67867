"""Clocks that commands tell the time by: the real one, or one that starts elsewhere and may run faster.

>>> from datetime import UTC, datetime
>>> clock = clock_from(datetime(2024, 10, 1, 8, tzinfo=UTC), speed=60, elapsed=iter([100.0, 130.0]).__next__)
>>> clock().isoformat()
'2024-10-01T08:30:00+00:00'
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]


def clock_from(start: datetime, speed: float = 1, elapsed: Callable[[], float] = time.monotonic) -> Clock:
    """A clock that starts now.

    Args:
        start: The time that it shows first.
        speed: How many times as fast as real time it runs.
        elapsed: Seconds of real time since any fixed point.
    """
    began = elapsed()
    return lambda: start + timedelta(seconds=(elapsed() - began) * speed)
