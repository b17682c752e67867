import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacyplease.cli.local import server_process
from privacyplease.cli.local.server_process import ServerProcess, last_lines

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process with `a.module` in its command line, as ours have."""
    command = [sys.executable, "-c", STUBBORN, "a.module"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_a_recorded_process_is_found_again(sleeper: subprocess.Popen[bytes]) -> None:
    recorded = server_process.record(sleeper, "a.module", "127.0.0.1:1")
    assert (found := recorded.process()) is not None
    assert found.pid == sleeper.pid
    assert recorded.name == "module"


def test_another_process_with_the_same_id_is_not_stopped(sleeper: subprocess.Popen[bytes]) -> None:
    recorded = server_process.record(sleeper, "a.module", "127.0.0.1:1")
    for other in (
        dataclasses.replace(recorded, started=recorded.started - 60),
        dataclasses.replace(recorded, module="b"),
    ):
        assert other.process() is None
        other.stop()
    assert sleeper.poll() is None


def test_a_process_that_ignores_sigterm_is_killed(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "_STOP_TIMEOUT_S", 0.5)
    recorded = server_process.record(sleeper, "a.module", "127.0.0.1:1")
    begun = time.monotonic()
    recorded.stop()
    assert recorded.process() is None
    assert time.monotonic() - begun < 10


def test_a_zombie_counts_as_stopped() -> None:
    command = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)", "a.module"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    begun = time.monotonic()
    server_process.record(process, "a.module", "127.0.0.1:1").stop()
    assert time.monotonic() - begun < 10
    assert process.wait() == -signal.SIGTERM


def test_stopping_a_process_that_has_ended_does_nothing() -> None:
    ServerProcess("a.module", 2**22 - 1, 0.0, "127.0.0.1:1").stop()


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(str(number) for number in range(9)))
    assert last_lines(log, 2) == "7\n8"
    assert last_lines(tmp_path / "none") == ""
