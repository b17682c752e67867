"""Homes that are lost and restored."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.proxy.segments import rollups
from tests.services.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site where even small compacted segments have a roll-up."""
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    return Site(tmp_path)
