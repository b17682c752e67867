"""Starting, watching and stopping the two servers."""

import contextlib
import json
import os
import shlex
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


def test_up_status_and_down_and_a_wrong_passphrase_leaves_nothing_running(run: Any, fresh: Path) -> None:
    result = _up(run)
    assert result.returncode == 0, result.stderr
    assert "passphrase generated" in result.stdout
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


def test_a_restart_keeps_the_logs_and_the_ports_of_metrics(run: Any, fresh: Path) -> None:
    port = _two_free_ports()
    logs = []
    for _ in range(2):
        assert _up(run, "--metrics-port", str(port)).returncode == 0
        state = _state(fresh)
        assert state["proxy"]["metrics"] == f"127.0.0.1:{port}"
        assert state["server"]["metrics"] == f"127.0.0.1:{port + 1}"
        run("down")
        logs.append({name: (fresh / "run" / f"{name}.log").read_text() for name in ("proxy", "server")})
    for name, log in logs[0].items():
        assert log
        assert logs[1][name].startswith(log)


def test_the_newest_record_is_known_after_a_restart(run: Any, fresh: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    run("simulate", "--devices", "5", "--places", "3", "--days", "1", "--start", "2024-10-01", "-o", str(log))
    newest = []
    assert _up(run).returncode == 0
    assert run("ingest", "wifi", str(log)).returncode == 0
    for _ in range(2):
        status = json.loads(run("status", "--json").stdout)
        newest.append(status["activity"]["ingestion"]["newest_record"]["wifi"])
        run("down")
        assert _up(run).returncode == 0
    assert newest[0] == newest[1] >= "2024-10-01"


def _two_free_ports() -> int:
    """The first of two ports in a row that are free."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first, contextlib.suppress(OSError):
            port: int = first.getsockname()[1]
            with socket.create_server(("127.0.0.1", port + 1)):
                return port


def test_the_printed_down_command_stops_what_up_started(run: Any, fresh: Path) -> None:
    line = _up(run).stdout.splitlines()[-1]
    assert line == f"stop with: privacyplease down --home {fresh}"
    words = shlex.split(line.removeprefix("stop with: privacyplease "))
    subprocess.run([sys.executable, "-m", "privacyplease.cli", *words], check=True)
    assert not _processes(fresh)


def test_a_second_up_says_where_the_first_serves(run: Any, fresh: Path) -> None:
    _up(run)
    again = _up(run)
    assert again.returncode == 1
    assert f"already up: the proxy serves on {_state(fresh)['proxy']['address']}" in again.stderr


def test_servers_that_have_ended_are_noticed_and_cleared_away(run: Any, fresh: Path) -> None:
    _up(run)
    state = _state(fresh)
    os.kill(state["server"]["pid"], signal.SIGKILL)
    time.sleep(0.5)
    status = run("status", "--json")
    assert status.returncode == 4
    assert json.loads(status.stdout)["server"]["health"] == "GONE"
    assert "only the proxy is still running" in _up(run).stderr
    assert "server: had already ended" in run("down").stderr
    for server in (state["server"], state["proxy"]):
        server["pid"] = os.getpid()  # the ID was reused, by this process
    (fresh / "run" / "state.json").write_text(json.dumps(state))
    assert run("down").returncode == 0
    again = _up(run)
    assert again.returncode == 0
    assert "passphrase generated" not in again.stdout


def test_a_port_in_use_is_an_error_that_names_it(run: Any, fresh: Path) -> None:
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


def test_a_passphrase_can_come_from_a_file_or_the_environment(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple\n")
    elsewhere = ["--home", str(tmp_path / "home")]
    assert _up(run, "--passphrase-file", str(file), *elsewhere).returncode == 0
    run("down", *elsewhere)
    assert not (tmp_path / "home" / "proxy" / "passphrase").exists()
    assert _up(run, *elsewhere, PRIVACYPLEASE_PASSPHRASE="correct horse battery staple").returncode == 0
    run("down", *elsewhere)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_in_the_foreground_a_signal_stops_both_servers(fresh: Path, number: signal.Signals) -> None:
    with _foreground(fresh) as process:
        process.send_signal(number)
        assert process.wait(30) == 0
    assert not _processes(fresh)


def test_in_the_foreground_the_end_of_one_server_stops_the_other(fresh: Path) -> None:
    with _foreground(fresh) as process:
        os.kill(_state(fresh)["server"]["pid"], signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 1
    assert b"error: the server ended unexpectedly" in errors
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
