"""Proxies in one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.proxy.compaction.in_process import InProcess


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[InProcess]:
    made = InProcess(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def other(proxy: InProcess) -> Iterator[InProcess]:
    """Another proxy that shares the first one's trusted store."""
    made = proxy.again()
    yield made
    made.stop()
