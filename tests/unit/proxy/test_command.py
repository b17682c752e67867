"""Flags with which the proxy refuses to start."""

from __future__ import annotations

import pytest

from privacyplease.proxy.__main__ import main
from privacyplease.proxy.compaction.garbage_collection import KEPT_MS


@pytest.mark.parametrize("seconds", ["151", "-1", "inf", "soon", str(KEPT_MS // 1_000)])
def test_question_seconds_beyond_the_life_of_replaced_cells_are_refused(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--question-seconds", seconds])
    assert "argument --question-seconds: " in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://storage:50051", "storage", "storage:99999"])
def test_a_storage_server_that_is_no_address_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--storage-server", address])
    assert f"argument --storage-server: expected HOST:PORT, got {address!r}" in capsys.readouterr().err
