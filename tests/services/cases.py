"""Inputs that real users met, each with its right outcome: `../shared/cases`, or what PRIVACYPLEASE_CASES names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CASES = Path(os.environ.get("PRIVACYPLEASE_CASES") or Path(__file__).parents[2] / "../shared/cases")

needed = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are missing: set PRIVACYPLEASE_CASES to their folder")
"""Skips a test without them."""
