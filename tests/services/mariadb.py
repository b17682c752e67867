"""A private MariaDB, started for a test or a benchmark and ended by its own pid.

Example:
    with MariaDB() as database:
        url = database.create_database("cells")      # mysql://root@127.0.0.1:41233/cells
        database.kill()                              # SIGKILL: the crash of a machine
        database.restart()                           # the same data, the same port
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql

_START_SECONDS = 60
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


def installed() -> bool:
    """Whether this machine has the programs that a private MariaDB needs."""
    return all(_program(name) is not None for name in ("mariadbd", "mariadb-install-db"))


class MariaDB:
    """One `mariadbd` with a data directory, a port and a socket of its own.

    It keeps MariaDB's durable defaults (each commit is flushed), so that what it measures is true.

    Args:
        options: further command-line options of `mariadbd`, as `("--innodb-buffer-pool-size=1G",)`.
        root: where to put the data directory; a fresh temporary folder by default, removed at the end.
    """

    def __init__(self, *, options: tuple[str, ...] = (), root: Path | None = None) -> None:
        self._options = options
        # A socket's path must fit into 107 bytes: the system's temporary folder, not pytest's deep one.
        self._root = root or Path(tempfile.mkdtemp(prefix="mariadb-"))
        self._owned = root is None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.socket = self._root / "mariadbd.sock"
        self.log = self._root / "mariadbd.log"

    def __enter__(self) -> Self:
        try:
            self._install()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._owned:
            shutil.rmtree(self._root, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The pid of the running `mariadbd`."""
        return self._running().pid

    def url(self, database: str, *, unix_socket: bool = False) -> str:
        """The storage URL of one of its databases, over TCP or over its socket."""
        if unix_socket:
            return f"mysql://root@localhost/{database}?unix_socket={self.socket}"
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def create_database(self, database: str) -> str:
        """Creates an empty database and returns its URL."""
        self.execute(f"CREATE DATABASE `{database}`")
        return self.url(database)

    def drop_database(self, database: str) -> None:
        """Drops a database, if it is there."""
        self.execute(f"DROP DATABASE IF EXISTS `{database}`")

    def execute(self, statement: str, database: str | None = None) -> tuple[tuple[object, ...], ...]:
        """Runs one statement over a connection of its own and returns all rows."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())

    def connect(self, database: str | None = None) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """A plain connection, which commits every statement."""
        return pymysql.connect(unix_socket=str(self.socket), user="root", database=database, autocommit=True)

    def start(self) -> None:
        """Starts the server on its data and returns when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mariadbd did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server in good order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Ends the server at once, as a crash would: what it had not made durable is lost."""
        self._running().kill()
        self._running().wait()
        self._process = None

    def restart(self) -> None:
        """Starts the server again on the same data and port, after `kill` or while it runs."""
        self.stop()
        self.start()

    def _install(self) -> None:
        command = [
            str(_program("mariadb-install-db")),
            "--no-defaults",
            f"--datadir={self._root / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_as_root(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=_START_SECONDS)

    def _command(self) -> list[str]:
        return [
            str(_program("mariadbd")),
            "--no-defaults",
            f"--datadir={self._root / 'data'}",
            f"--port={self.port}",
            f"--socket={self.socket}",
            f"--pid-file={self._root / 'mariadbd.pid'}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--performance-schema=OFF",
            *_as_root(),
            *self._options,
        ]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("expected a running mariadbd, got a stopped one")
        return self._process

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True


def _as_root() -> list[str]:
    """MariaDB refuses to run as root unless told so; in a container there may be nobody else."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _program(name: str) -> str | None:
    return shutil.which(name, path=_SEARCH_PATH)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
