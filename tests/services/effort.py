"""How much a test tries: a little in `make test`, and much in `make soak`, which sets SOAK=1."""

from __future__ import annotations

import os


def tries(few: int, many: int) -> int:
    """How many examples, kills or calls a test tries."""
    return many if os.environ.get("SOAK") else few
