"""What Spark's failures are about."""

from __future__ import annotations

import re

__all__ = ["cause"]


def cause(text: str) -> str:
    r"""What a failure of Spark is about: the innermost error of our own, else the first line.

    >>> cause("[STREAM_FAILED] aborted\nprivacyplease.ingest.errors.LayoutError: expected x\n\tat org.apache")
    'expected x'
    """
    own = re.findall(r"(?m)^(?:privacyplease\.[\w.]+\.)?\w+Error: (.+)$", text)
    return own[-1] if own else text.strip().partition("\n")[0]
