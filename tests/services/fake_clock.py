"""A clock for tests that stands still until it is set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FakeClock:
    """Returns `now`, in whatever unit its user needs, until `now` is changed."""

    now: float = 0

    def __call__(self) -> float:
        return self.now
