"""Polls for a condition that another process or thread brings about."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a condition holds within some seconds. It is checked less often the longer it takes."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        if waited > seconds:
            return False
        time.sleep(min(max(0.05, waited / 10), 0.5))
    return True
