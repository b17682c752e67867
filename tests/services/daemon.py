"""A process of ours that may be killed and started again, with all that it ever wrote in one log.

Example:
    with Daemon("proxy", ["-m", "privacyplease.proxy", ...], folder) as proxy:
        proxy.kill()
        proxy.start()
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_STOP_SECONDS = 40


class Daemon:
    """A Python process.

    Args:
        name: what its log is called.
        arguments: what Python is to run, as `["-m", "privacyplease.proxy"]`.
        folder: where its log goes.
        environment: what it has in its environment beyond ours.
    """

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, **environment: str) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        self._command = [self._interpreter(), *arguments]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PRIVACYPLEASE_")}
        self._environment = {**kept, "GRPC_VERBOSITY": "NONE", **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        return self._running().pid

    @property
    def log(self) -> str:
        """All that it has written."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts it; it may not serve yet."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)

    def stop(self) -> int:
        """Ends it with SIGTERM and returns its exit code."""
        self._running().terminate()
        code, self._process = self._running().wait(timeout=_STOP_SECONDS), None
        return code

    def kill(self) -> None:
        """Ends it at once."""
        self._running().kill()
        self._running().wait()
        self._process = None

    def _interpreter(self) -> str:
        return sys.executable

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"expected {self.name} to run")
        return self._process
