import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacyplease.cli.local import daemon
from privacyplease.cli.local.daemon import Daemon, last_lines

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


def test_a_process_is_found_again(sleeper: subprocess.Popen[bytes]) -> None:
    noted = daemon.note(sleeper, "a.module", "127.0.0.1:1")
    assert (found := noted.process()) is not None
    assert found.pid == sleeper.pid
    assert noted.name == "module"


def test_a_stranger_with_the_same_number_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    noted = daemon.note(sleeper, "a.module", "127.0.0.1:1")
    for stranger in (dataclasses.replace(noted, started=noted.started - 60), dataclasses.replace(noted, module="b")):
        assert stranger.process() is None
        stranger.stop()
    assert sleeper.poll() is None


def test_a_process_that_will_not_stop_is_killed(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_STOP_PATIENCE_S", 0.5)
    noted = daemon.note(sleeper, "a.module", "127.0.0.1:1")
    begun = time.monotonic()
    noted.stop()
    assert noted.process() is None
    assert time.monotonic() - begun < 10


def test_a_process_whose_exit_code_nobody_asks_for_has_stopped() -> None:
    command = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)", "a.module"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    begun = time.monotonic()
    daemon.note(process, "a.module", "127.0.0.1:1").stop()
    assert time.monotonic() - begun < 10
    assert process.wait() == -signal.SIGTERM


def test_a_process_that_is_gone_needs_no_stopping() -> None:
    Daemon("a.module", 2**22 - 1, 0.0, "127.0.0.1:1").stop()


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(str(number) for number in range(9)))
    assert last_lines(log, 2) == "7\n8"
    assert last_lines(tmp_path / "none") == ""
