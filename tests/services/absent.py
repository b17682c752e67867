"""A service that is not on this machine: skipped loudly for a person, a failure in CI."""

from __future__ import annotations

import os

import pytest


def require(installed: bool, what: str) -> None:
    """Goes on if it is there."""
    if installed:
        return
    missing = f"expected {what}, got none"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
