"""The product through its public interface only: both servers as processes, the SDK in front, a relay in between."""

from __future__ import annotations

import importlib.resources
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from attacks.questions import About, ScenarioQuestion
from attacks.relay import Relay, relaying
from privacyplease.client import Client

_START_S = 60.0
_GLANCE_S = 0.02
_STEP = timedelta(hours=1)


class UnsupportedError(Exception):
    """The product in the working tree does not support what was asked of it."""


class Product:
    """A running installation, whose proxy talks to its storage server through a relay.

    Attributes:
        relay: Records what the storage server sees. The caller sets its clock.
    """

    def __init__(self, folder: Path, relay: Relay) -> None:
        self.relay = relay
        self._folder = folder
        self._proxy: _Process | None = None
        self._client: Client | None = None

    def start(self, cache_mib: int | None = None) -> None:
        """Starts the proxy; a running one is stopped first, and so loses its cache.

        Args:
            cache_mib: The size of its cell cache, in MiB; None for its default.

        Raises:
            UnsupportedError: It does not start.
        """
        self.stop()
        flags = {"--storage-server": self.relay.address, "--home": str(self._folder / "proxy"), "--no-compaction": None}
        if cache_mib is not None:
            flags["--cache-mib"] = str(cache_mib)
        self._proxy = _Process("privacyplease.proxy", _known(flags), self._folder)
        self._client = Client(self._proxy.address, insecure=True, timeout=600)

    def stop(self) -> None:
        """Stops the proxy."""
        if self._client and self._proxy:
            self._client.close()
            self._proxy.stop()
        self._client = self._proxy = None

    def clock(self, now: int) -> None:
        """Sets the time, in ms since 1970, of what the storage server sees from here on."""
        self.relay.now = now

    def define(self, **entries: str | int) -> None:
        """Adds entries to the definition of the data set `wifi`, before the first start."""
        [shipped] = _shipped("wifi.toml")
        own = self._folder / "proxy" / "datasets" / "wifi.toml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items()) + shipped)

    def ingest(self, records: pa.Table) -> None:
        """Sends records and waits until they are durable."""
        for ack in self.client.ingest("wifi", [records]):
            if ack.accepted != ack.rows:
                raise RuntimeError(f"expected every record to be accepted, got {ack}")

    def compact(self, until: int) -> None:
        """Compacts everything that began before an instant, in ms since 1970."""
        for _ in self.client.compact(None, _time(until), dataset="wifi"):
            pass

    def ask(self, question: ScenarioQuestion) -> None:
        """Asks a question and ignores the answer."""
        start, end = _time(question.start), _time(question.end)
        if question.about == About.DEVICE:
            self.client.presence(question.key, start, end, purpose="attacks")
        elif question.series:
            self.client.occupancy(start, end, _STEP, place=question.key or None)
        else:
            self.client.count(start, end, place=question.key or None)

    @property
    def client(self) -> Client:
        """A client of the running proxy."""
        if self._client is None:
            raise RuntimeError("expected a running proxy")
        return self._client


@contextmanager
def installed(folder: Path) -> Iterator[Product]:
    """A storage server over SQLite and a relay in front of it, in a folder; no proxy is started yet."""
    store = ["--storage", f"sqlite:///{folder / 'store.db'}"]
    with ExitStack() as stack:
        server = _Process("privacyplease.server", store, folder)
        stack.callback(server.stop)
        product = Product(folder, stack.enter_context(relaying(server.address)))
        stack.callback(product.stop)
        yield product


class _Process:
    """A server of ours on loopback, without certificates."""

    def __init__(self, module: str, flags: Sequence[str], folder: Path) -> None:
        self._log = folder / f"{module}.log"
        announced = folder / f"{module}.address"
        announced.unlink(missing_ok=True)
        where = ["--listen", "127.0.0.1:0", "--insecure", "--address-file", str(announced)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRIVACYPLEASE_")}
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", module, *where, *flags]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=kept)
        self.address = self._awaited(announced)

    def stop(self) -> None:
        """Stops it."""
        self._process.terminate()
        self._process.wait()

    def _awaited(self, file: Path) -> str:
        deadline = time.monotonic() + _START_S
        while not file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise UnsupportedError(self._log.read_text().strip().splitlines()[-1])
            time.sleep(_GLANCE_S)
        return file.read_text().strip()


def _known(flags: Mapping[str, str | None]) -> list[str]:
    """The flags that the proxy supports: one that was removed is not needed any more."""
    command = [sys.executable, "-m", "privacyplease.proxy", "--help"]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kept = {flag: value for flag, value in flags.items() if flag in usage}
    return [word for flag, value in kept.items() for word in (flag, value) if word is not None]


def _shipped(name: str) -> Iterator[str]:
    """The text of a shipped definition, wherever the proxy keeps it."""
    for root in importlib.resources.files("privacyplease.proxy")._paths:  # type: ignore[attr-defined]
        for file in Path(root).rglob(name):
            yield file.read_text()


def _time(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1_000, UTC)
