"""The end of the process at a chosen call, for tests of what a crash leaves behind.

Example:
    with crashing(manifest, "commit", after=1):
        eraser.erase(dataset, epochs)  # ends at the second commit
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class SimulatedCrash(BaseException):
    """The end of the process. It is no `Exception`: a process that ends handles nothing."""


@contextmanager
def crashing(owner: object, method: str, *, after: int = 0) -> Iterator[None]:
    """Ends the block at a call of a method, which it must come to.

    Args:
        owner: The object, class or module that has the method.
        method: Its name.
        after: How many calls of it succeed before.
    """
    real, calls = getattr(owner, method), 0

    def crash_in_time(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise SimulatedCrash
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, crash_in_time)
        with pytest.raises(SimulatedCrash):
            yield
