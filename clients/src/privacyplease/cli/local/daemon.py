"""A server process that outlives the command that started it, and how to find it again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_STOP_PATIENCE_S = 15.0
_GLANCE_S = 0.02

# How far two readings of one process's start may lie apart: the kernel counts in ticks since boot.
_START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Daemon:
    """A process that was started, as it is noted down.

    Attributes:
        module: The Python module that it runs.
        pid: Its number. Numbers are used again: alone it tells nothing.
        started: When it began, in seconds since the epoch.
        address: Where it serves, as host:port.
        metrics: Where it serves its metrics, as host:port; "" if it does not.
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
        """The process, or None if it is gone: a stranger that got its number is not it."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _START_TOLERANCE_S
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if same and alive and self.module in process.cmdline() else None
        except psutil.Error:
            return None

    def stop(self) -> None:
        """Asks the process to end, waits, and ends it."""
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
    """Whether a process ends in time. A zombie has ended: in a container nobody may ever ask for its exit code."""
    deadline = time.monotonic() + _STOP_PATIENCE_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(_GLANCE_S)
    return True


def spawn(module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Starts `python -m module`; it writes to `log` and survives the terminal.

    A session of its own also keeps Ctrl-C from reaching it: whoever started it stops it in order.
    """
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and arguments, no shell)
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )


def note(process: subprocess.Popen[bytes], module: str, address: str, metrics: str = "") -> Daemon:
    """A process that was just spawned, to be noted down."""
    return Daemon(module, process.pid, psutil.Process(process.pid).create_time(), address, metrics)


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log, to show why a process ended."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""
