from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.cli.local import log_file
from privacyplease.cli.local.log_file import open_log


def write(log: Path, text: bytes) -> None:
    with open_log(log) as file:
        file.write(text)


def test_what_was_written_before_a_crash_is_still_there_after_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "proxy.log"
    write(log, b"Traceback\n")
    write(log, b"started\n")
    assert log.read_bytes() == b"Traceback\nstarted\n"


def test_a_large_log_is_set_aside_and_only_a_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "_MOST_BYTES", 3)
    log = tmp_path / "proxy.log"
    for text in (b"one", b"two", b"three", b"four", b"five"):
        write(log, text)
    kept = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert kept == {"proxy.log": b"five", "proxy.log.1": b"four", "proxy.log.2": b"three", "proxy.log.3": b"two"}
