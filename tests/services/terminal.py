"""The command line in a terminal of its own, as a person sees it.

Example:
    with terminal(home, "watch") as watching:
        watching.until("people")
        watching.type("\x03")
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Terminal:
    """What a command shows, and what is typed.

    Attributes:
        exit_code: What the command ended with; known once it has.
    """

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self._shown = ""
        self.exit_code: int | None = None

    def until(self, words: str) -> str:
        """What was shown since the last call, up to and with some words."""
        while words not in self._shown:
            more = self._read()
            if not more:
                raise AssertionError(f"expected {words!r}, the command ended with {self._shown!r}")
            self._shown += more
        end = self._shown.index(words) + len(words)
        seen, self._shown = self._shown[:end], self._shown[end:]
        return seen

    def until_the_end(self) -> str:
        """What is shown until the command ends."""
        while more := self._read():
            self._shown += more
        self.exit_code = self._process.wait(20)
        return self._shown

    def type(self, keys: str) -> None:
        """Types them."""
        os.write(self._descriptor, keys.encode())

    def _read(self) -> str:
        try:
            return os.read(self._descriptor, 65_536).decode(errors="replace")
        except OSError:  # Linux says so when nobody has the other end open
            return ""


@contextmanager
def terminal(home: Path, *arguments: str) -> Iterator[Terminal]:
    """Runs `privacyplease` in a terminal of its own, which its Ctrl-C reaches."""
    ours, its = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRIVACYPLEASE_")}
    command = [sys.executable, "-m", "privacyplease.cli", "--home", str(home), *arguments]
    enter = [sys.executable, "-c", _ENTER, *command]
    process = subprocess.Popen(
        enter, stdin=its, stdout=its, stderr=its, env={**kept, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    )
    os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


# Makes the terminal the one that controls the command, so that Ctrl-C in it interrupts, whatever this process ignores.
_ENTER = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
