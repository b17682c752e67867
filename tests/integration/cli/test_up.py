"""Starting, watching and stopping the two servers."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def run(process: Any) -> Any:
    return process


@pytest.fixture
def fresh(run: Any, home: Path) -> Iterator[Path]:
    """A home in which nothing runs, before and after."""
    yield home
    run("down")


def _state(home: Path) -> Any:
    return json.loads((home / "run" / "state.json").read_text())


def _up(run: Any, *arguments: str, **environment: str) -> Any:
    return run("up", "--detach", "--proxy-port", "0", *arguments, **environment)


def test_up_status_down_and_a_wrong_passphrase_leaves_nothing_running(run: Any, fresh: Path) -> None:
    result = _up(run)
    assert result.returncode == 0, result.stderr
    assert "passphrase made up" in result.stdout
    assert stat.S_IMODE((fresh / "proxy" / "passphrase").stat().st_mode) == 0o600
    status = run("status")
    assert status.returncode == 0
    assert "newest  not known" in status.stdout
    assert run("down").returncode == 0
    assert run("status").returncode == 4
    wrong = _up(run, PRIVACYPLEASE_PASSPHRASE="not the right one")
    assert wrong.returncode == 1
    assert "passphrase" in wrong.stderr
    assert not _processes(fresh)


def test_a_second_up_says_where_the_first_serves(run: Any, fresh: Path) -> None:
    _up(run)
    again = _up(run)
    assert again.returncode == 1
    assert f"already up: the proxy serves on {_state(fresh)['proxy']['address']}" in again.stderr


def test_what_was_killed_and_what_is_long_gone_is_seen_and_cleared_away(run: Any, fresh: Path) -> None:
    _up(run)
    state = _state(fresh)
    os.kill(state["server"]["pid"], signal.SIGKILL)
    time.sleep(0.5)
    status = run("status", "--json")
    assert status.returncode == 4
    assert json.loads(status.stdout)["server"]["health"] == "GONE"
    assert "half up: only the proxy still runs" in _up(run).stderr
    assert "server: was gone already" in run("down").stderr
    for daemon in (state["server"], state["proxy"]):
        daemon["pid"] = os.getpid()  # the number was used again, by us
    (fresh / "run" / "state.json").write_text(json.dumps(state))
    assert run("down").returncode == 0
    again = _up(run)
    assert again.returncode == 0
    assert "passphrase made up" not in again.stdout


def test_a_taken_port_is_named(run: Any, fresh: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("up", "--detach", "--proxy-port", str(port))
    assert result.returncode == 1
    assert f"cannot serve on port {port}" in result.stderr
    assert "--proxy-port" in result.stderr


def test_a_store_that_does_not_open_is_reported_with_the_log(run: Any, fresh: Path) -> None:
    result = _up(run, "--storage", "sqlite:////proc/no/such/folder/store.db")
    assert result.returncode == 1
    assert "the server ended with code 1 while starting" in result.stderr
    assert "hint: " in result.stderr
    assert run("status").returncode == 4


def test_a_passphrase_may_come_from_a_file_or_the_environment(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple\n")
    elsewhere = ["--home", str(tmp_path / "home")]
    assert _up(run, "--passphrase-file", str(file), *elsewhere).returncode == 0
    run("down", *elsewhere)
    assert not (tmp_path / "home" / "proxy" / "passphrase").exists()
    assert _up(run, *elsewhere, PRIVACYPLEASE_PASSPHRASE="correct horse battery staple").returncode == 0
    run("down", *elsewhere)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_in_the_foreground_a_signal_stops_both(fresh: Path, number: signal.Signals) -> None:
    with _foreground(fresh) as process:
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not _processes(fresh)


def test_in_the_foreground_the_death_of_one_stops_the_other(fresh: Path) -> None:
    with _foreground(fresh) as process:
        os.kill(_state(fresh)["server"]["pid"], signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 1
    assert b"error: the server ended by itself" in errors
    assert not _processes(fresh)


def _foreground(home: Path) -> subprocess.Popen[bytes]:
    arguments = ["--home", str(home), "up", "--proxy-port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "privacyplease.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    while b"stop with Ctrl-C" not in (line := process.stdout.readline()):
        assert line, "up ended early"
    return process


def _processes(home: Path) -> list[str]:
    import psutil

    lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(home) in line and "-m privacyplease" in line]
