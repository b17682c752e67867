"""Texts that callers choose, as entries hold them: bounded, so that no line grows without limit.

>>> bounded("lost property", 20)
'lost property'
>>> bounded("x" * 100, 20)
'xxxxxxxxxxxxxx…'
"""

from __future__ import annotations

import json
from itertools import accumulate, takewhile

MARK = "…"
"""The end of a text that was cut."""


def bounded(text: str, most: int) -> str:
    """The text, cut so that it takes at most as many bytes in a line as given, its mark included.

    Args:
        text: The text. A line escapes what is not ASCII, so that one character takes up to 12 bytes.
        most: The number of bytes; more than the mark takes.
    """
    if len(text) <= most and written_bytes(text) <= most:
        return text
    room = most - written_bytes(MARK)
    kept = takewhile(lambda used: used <= room, accumulate(map(written_bytes, text)))
    return text[: sum(1 for _ in kept)] + MARK


def written_bytes(text: str) -> int:
    """How many bytes the text takes in a line, without its quotes."""
    return len(json.dumps(text)) - 2
