"""JSON and TOML from outside: whatever the text, a document or a `ValueError`.

Python's parsers also raise `RecursionError`, for a few thousand brackets, and that no caller expects.

>>> from_json("[" * 100_000)
Traceback (most recent call last):
    ...
ValueError: expected JSON that is nested less deeply
"""

from __future__ import annotations

import json
import tomllib
from typing import Any


def from_json(text: str | bytes) -> Any:  # noqa: ANN401  # JSON's values
    """A JSON document.

    Raises:
        ValueError: It is none, has a number of thousands of digits, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("expected JSON that is nested less deeply") from None


def from_toml(text: str) -> dict[str, Any]:
    """A TOML document.

    Raises:
        ValueError: It is none, has a number of thousands of digits, or is nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("expected TOML that is nested less deeply") from None
