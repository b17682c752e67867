"""The untrusted server, as its own process or within the test's process.

Example:
    with StorageProcess("sqlite:///cells.db") as server, channel_to(server.address) as channel:
        stub = StorageServiceStub(channel)

    with serving("sqlite:///cells.db") as served:
        served.stub
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import grpc

from privacyplease.server import Limits, Load, build_server, open_store
from privacyplease.server.metrics import Metrics
from privacyplease.server.sql import SqlStore
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc
from tests.services.cells import channel_to

_START_SECONDS = 30


class StorageProcess:
    """`python -m privacyplease.server` on a free port.

    Args:
        storage_url: The store behind it.
        flags: Further flags, as `("--max-cell-bytes=1000",)`.
        listen: The address that it listens on; a free port by default.
        certificates: Folder of its certificate; None for plaintext.
    """

    def __init__(
        self, storage_url: str, *flags: str, listen: str = "127.0.0.1:0", certificates: Path | None = None
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="storage-"))
        self._address_file = self._folder / "address"
        self._log = self._folder / "log"
        command = [sys.executable, "-m", "privacyplease.server", "--storage", storage_url, "--listen", listen]
        command += ["--certificates", str(certificates)] if certificates else ["--insecure"]
        self._command = [*command, "--address-file", str(self._address_file), *flags]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """Its address, as HOST:PORT."""
        return self._address_file.read_text(encoding="utf-8").strip()

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        if self._process is None:
            raise RuntimeError("expected a running storage server, got a stopped one")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts the process and returns when it serves."""
        self._address_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._address_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the storage server did not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Ends the process with SIGTERM and returns its exit code."""
        if self._process is None:
            raise RuntimeError("expected a running storage server, got a stopped one")
        self._process.terminate()
        code, self._process = self._process.wait(timeout=_START_SECONDS), None
        return code

    def kill(self) -> None:
        """Kills the process, if it is running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Served(NamedTuple):
    """A server that runs in this process, its client side, and the store behind it."""

    address: str
    stub: rpc.StorageServiceStub
    channel: grpc.Channel
    store: SqlStore
    metrics: Metrics


@contextmanager
def serving(storage_url: str, limits: Limits | None = None, load: Load | None = None) -> Iterator[Served]:
    """Serves a store from this process, for as long as the block lasts."""
    limits = limits or Limits()
    load = load or Load()
    store = open_store(storage_url, limits, connections=load.connections)
    assert isinstance(store, SqlStore)
    metrics = Metrics()
    metrics.watch(store.connections, store.free_bytes)
    server = build_server(store, limits, load=load, metrics=metrics)
    address = server.bind("127.0.0.1:0")
    server.start()
    try:
        with channel_to(address) as channel:
            yield Served(address, rpc.StorageServiceStub(channel), channel, store, metrics)
    finally:
        server.stop(0)
        store.close()
