"""A server process that outlives the command that started it, and that later commands find again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from privacyplease.cli.local.child_environment import child_environment
from privacyplease.cli.local.log_file import open_log

if TYPE_CHECKING:
    import psutil

_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.02

# How much two readings of the start of one process may differ: the kernel counts in ticks since boot.
_START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class ServerProcess:
    """A server that was started, as recorded in the home.

    Attributes:
        module: The Python module that it runs.
        pid: Its process ID. The system reuses these, so it does not identify the process by itself.
        started: When it started, in seconds since the epoch.
        address: Where it serves, as host:port.
        metrics: Where it serves metrics, as host:port; "" if it does not.
    """

    module: str
    pid: int
    started: float
    address: str
    metrics: str = ""

    @property
    def name(self) -> str:
        """`server` or `proxy`."""
        return self.module.rpartition(".")[2]

    def process(self) -> psutil.Process | None:
        """The process; None if it has ended, even if another process has its ID now."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _START_TOLERANCE_S
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if same and alive and self.module in process.cmdline() else None
        except psutil.Error:
            return None

    def stop(self) -> None:
        """Asks the process to end, waits, and kills it if it has not ended by then."""
        import psutil

        process = self.process()
        if process is None:
            return
        try:
            process.terminate()
            if not _ended(process):
                process.kill()
                _ended(process)
        except psutil.NoSuchProcess:
            return


def _ended(process: psutil.Process) -> bool:
    """Whether a process ends in time. A zombie counts: in a container, its exit code may never be collected."""
    import psutil

    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def spawn(module: str, arguments: Sequence[str], given: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Starts `python -m module`, which appends to `log` and survives the terminal.

    Of our environment it gets what it needs, and the variables that are `given`. Because it runs in a session of its
    own, Ctrl-C does not reach it: the command that started it stops it in order.
    """
    environment = child_environment(module, os.environ, given)
    with open_log(log) as output:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and arguments, no shell)
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment.visible,
            start_new_session=True,
        )
    with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as pipe:  # one that has ended is noticed later
        pipe.write(environment.piped)
    return process


def record(process: subprocess.Popen[bytes], module: str, address: str, metrics: str = "") -> ServerProcess:
    """The record of a process that was just spawned."""
    import psutil

    return ServerProcess(module, process.pid, psutil.Process(process.pid).create_time(), address, metrics)


def last_lines(log: Path, count: int = 5) -> str:
    """The last lines of a log, to show why a process ended."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""
