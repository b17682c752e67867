"""A server with too little memory refuses in words, or dies and is started again; nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.scarce_memory import starve


@pytest.mark.parametrize("kill", [False, True], ids=["allocations fail", "it is killed"])
@pytest.mark.parametrize("name", ["proxy", "server"])
def test_with_too_little_memory_nothing_acknowledged_is_lost_or_doubled(name: str, kill: bool, tmp_path: Path) -> None:
    outcome = starve(tmp_path, name, rounds=2, kill=kill)
    assert outcome.faults == []
    assert outcome.stored > 0
    assert not [text for text in outcome.refused if "Arrow IPC" in text]
