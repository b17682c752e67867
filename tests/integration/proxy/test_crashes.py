"""A proxy that is killed anywhere between intent and acknowledgement loses nothing and accuses nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from privacyplease.client import Client, PrivacyPleaseError
from privacyplease.proxy import journal, ledger
from tests.services import faulty_proxy
from tests.services.daemon import Daemon
from tests.services.patience import eventually
from tests.services.proxy import PASSPHRASE, Proxied, proxying
from tests.services.storage import Served

START, HOUR = 1_727_769_600_000, 3_600_000
DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
BATCHES = 20  # more than the entries from which on the journal is folded


def batch(number: int) -> pa.Table:
    """A session of a device of its own."""
    return pa.table(
        {
            "client_mac": [number],
            "ap_name": ["north door"],
            "association_time": pa.array([START + number], pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([HOUR], pa.duration("ms")),
        }
    )


@pytest.fixture(autouse=True)
def _folding_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "FOLDED_FROM_ENTRIES", faulty_proxy.FOLDED_FROM_ENTRIES)


@pytest.fixture
def home(tmp_path: Path, storage: Served) -> Path:
    """The home of a proxy that holds one session, of device 0."""
    with proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", batch(0))
    return tmp_path / "home"


@pytest.fixture(params=faulty_proxy.STEPS)
def killed(request: pytest.FixtureRequest, home: Path, storage: Served, tmp_path: Path) -> Iterator[int]:
    """How many batches were acknowledged by a proxy before it was killed."""
    address = tmp_path / "address"
    where = ["--insecure", "--listen=127.0.0.1:0", f"--home={home}", f"--storage-server={storage.address}"]
    command = ["-m", "tests.services.faulty_proxy", request.param, *where, f"--address-file={address}"]
    with Daemon("proxy", command, tmp_path, PRIVACYPLEASE_PASSPHRASE=PASSPHRASE) as daemon:
        assert eventually(address.exists), daemon.log
        yield acknowledged(address.read_text().strip())


def acknowledged(address: str) -> int:
    """Ingests until the proxy is gone."""
    seen = 0
    with Client(address, insecure=True) as client:
        try:
            for _ in client.ingest("wifi", map(batch, range(1, BATCHES)), retry=lambda *_: None):
                seen += 1
        except PrivacyPleaseError:
            return seen
    raise AssertionError("expected the proxy to be killed")


def devices(proxy: Proxied) -> set[int]:
    """The devices that are found through both indexes."""
    start, end = (int(end.timestamp() * 1_000) for end in DAY)
    found = [set(proxy.records("wifi", index, start, end)["client_mac"].to_pylist()) for index in ("subject", "place")]
    return {int(mac.replace(":", ""), 16) for mac in set.intersection(*found)}


def test_nothing_is_lost_and_nobody_accused(
    killed: int, home: Path, storage: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was on its way is settled after the batches are sent again; in `test_shared_store.py` before."""
    with proxying(home, storage.address) as proxy:
        assert devices(proxy) >= set(range(killed + 1))
        proxy.ingest("wifi", *map(batch, range(1, BATCHES)))
        assert devices(proxy) == set(range(BATCHES))
    monkeypatch.setattr(journal, "SETTLED_AFTER_SECONDS", -1)
    with proxying(home, storage.address) as proxy:
        assert devices(proxy) == set(range(BATCHES))
