"""A proxy that is killed at any step between intent and acknowledgement loses nothing and accuses nobody."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from privacyplease.client import Client, PrivacyPleaseError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.lifecycle import flush_recovery
from privacyplease.proxy.manifest.rows import SegmentState
from tests.services import faulty_proxy
from tests.services.daemon import Daemon
from tests.services.home_inspector import inspecting
from tests.services.polling import eventually
from tests.services.proxy import PASSPHRASE, Proxied, proxying
from tests.services.storage import Served
from tests.services.tampering import Database

START, HOUR = 1_727_769_600_000, 3_600_000
BATCHES = 20  # many more than are flushed before the proxy is killed


def batch(number: int) -> pa.Table:
    """A session of a distinct device."""
    return pa.table(
        {
            "client_mac": [number],
            "ap_name": ["north door"],
            "association_time": pa.array([START + number], pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([HOUR], pa.duration("ms")),
        }
    )


def ingest_until_killed(step: str, home: Path, storage: Served, folder: Path, **environment: str) -> int:
    """Ingests until the proxy is killed; returns how many batches it acknowledged before."""
    address = folder / "address"
    where = ["--insecure", "--listen=127.0.0.1:0", f"--home={home}", f"--storage-server={storage.address}"]
    command = ["-m", "tests.services.faulty_proxy", step, *where, f"--address-file={address}", "--flush-seconds=0.01"]
    with Daemon("proxy", command, folder, PRIVACYPLEASE_PASSPHRASE=PASSPHRASE, **environment) as daemon:
        assert eventually(address.exists, 60), daemon.log
        return _acknowledged(address.read_text().strip())


def _acknowledged(address: str) -> int:
    """Only the first batch, which is one flush: its acknowledgement arrives before the proxy can be killed."""
    with Client(address, insecure=True) as client:
        seen = len(list(client.ingest("wifi", [batch(1)])))
        try:
            for _ in client.ingest("wifi", map(batch, range(1 + seen, BATCHES)), retry=lambda *_: None):
                seen += 1
        except PrivacyPleaseError:
            return seen
    raise AssertionError("expected the proxy to be killed")


def devices(proxy: Proxied) -> set[int]:
    """The distinct devices that are found."""
    found = proxy.records("wifi", START, START + HOUR)["client_mac"].to_pylist()
    assert len(found) == len(set(found))
    return {int(mac.replace(":", ""), 16) for mac in found}


@pytest.mark.parametrize("step", faulty_proxy.STEPS)
def test_a_killed_proxy_loses_nothing_and_accuses_nobody(
    step: str, storage: Served, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here interrupted flushes are recovered after the batches are sent again; in `test_shared_store.py` before."""
    home = tmp_path / "home"
    with proxying(home, storage.address) as proxy:
        proxy.ingest("wifi", batch(0))
    acknowledged = ingest_until_killed(step, home, storage, tmp_path)
    assert acknowledged >= 1
    with proxying(home, storage.address) as proxy:
        assert devices(proxy) >= set(range(acknowledged + 1))
        proxy.ingest("wifi", *map(batch, range(1, BATCHES)))
        assert devices(proxy) == set(range(BATCHES))
    monkeypatch.setattr(flush_recovery, "RECOVER_AFTER_MS", -1)  # as if a quarter of an hour had passed
    with proxying(home, storage.address, cache_bytes=0) as proxy, inspecting(Home(home)) as inspector:
        assert eventually(lambda: inspector.rows(SegmentState.SENT, SegmentState.RETIRED) == [])
        assert devices(proxy) == set(range(BATCHES))
        assert inspector.strays(Database(sqlite_url)) == set()
