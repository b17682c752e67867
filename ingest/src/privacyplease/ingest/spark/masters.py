"""Names of Spark's masters."""

from __future__ import annotations

import re

__all__ = ["repeating"]

_LOCAL = re.compile(r"local(?:\[(\d+|\*)\])?")
_FAILURES = 4


def repeating(master: str) -> str:
    """A master that repeats a task that has failed; Spark ends a query of `local[n]` with the first.

    >>> [repeating(master) for master in ("local", "local[2]", "local[2,1]", "spark://host:7077")]
    ['local[1,4]', 'local[2,4]', 'local[2,1]', 'spark://host:7077']
    """
    match = _LOCAL.fullmatch(master)
    return f"local[{match[1] or 1},{_FAILURES}]" if match else master
