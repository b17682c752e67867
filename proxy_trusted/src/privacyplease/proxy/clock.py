"""Time that does not jump: what the system's clock said at the start, and what has passed since.

Whoever sets the system's clock, or lets a time service set it, makes it jump. How long ago something happened must not
depend on that.

Example:
    >>> before = steady()
    >>> 0 <= steady() - before < 60
    True
"""

from __future__ import annotations

import time

# On Linux the boot clock, which goes on while the machine is suspended; elsewhere the monotonic clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _passed() -> float:
    return time.clock_gettime(_CLOCK)


_BEGUN = time.time() - _passed()


def steady() -> float:
    """Seconds since 1970 by the system's clock as it was when the process began. Never goes back."""
    return _BEGUN + _passed()


def ahead() -> float:
    """How many seconds the system's clock has gone forward since the start, beyond the time that passed."""
    return time.time() - steady()


def earliest() -> float:
    """Seconds since 1970, by the system's clock or by `steady`, whichever is earlier.

    For what cannot be undone: a clock that jumps forward does not make it happen sooner.
    """
    return min(time.time(), steady())
