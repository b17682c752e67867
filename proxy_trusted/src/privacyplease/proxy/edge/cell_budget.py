"""What the question that this thread answers costs whoever asks it: the number of cells that it touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CHARGE: ContextVar[Callable[[int], None] | None] = ContextVar("charge", default=None)


@contextmanager
def charged_to(charge: Callable[[int], None]) -> Iterator[None]:
    """Charges what is asked within the block.

    >>> spent = []
    >>> with charged_to(spent.append):
    ...     charge(12)
    >>> charge(7)  # nobody's
    >>> spent
    [12]
    """
    _CHARGE.set(charge)
    try:
        yield
    finally:
        _CHARGE.set(None)


def charge(cells: int) -> None:
    """Charges the cells of a question, before any of them is fetched.

    Raises:
        RateLimitedError: Whoever asks has used up what they may ask for in a minute.
    """
    if charged := _CHARGE.get():
        charged(cells)
