"""The proxy while the disk of its home is full."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from privacyplease.client import Client, errors
from tests.services.polling import eventually
from tests.services.proxy import Proxied, proxying
from tests.services.small_disk import fill, small_disk
from tests.services.storage import serving

DEVICE = "02:00:00:00:00:01"
EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
DAY = EIGHT, EIGHT + timedelta(hours=12)
MIB = 1024 * 1024


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxied]:
    """A proxy whose home is on a disk of 16 MiB."""
    with (
        small_disk(tmp_path / "disk", 16) as disk,
        serving(f"sqlite:///{tmp_path}/cells.db") as storage,
        proxying(disk / "home", storage.address, passphrase=None, reserve_bytes=2 * MIB, compacts=False) as proxy,
    ):
        yield proxy


@pytest.fixture
def client(proxy: Proxied) -> Iterator[Client]:
    with Client(proxy.address, insecure=True) as client:
        yield client


def test_a_full_disk_stops_ingest_and_questions_about_persons_but_no_administrator(
    proxy: Proxied, client: Client
) -> None:
    acknowledged = sum(ack.accepted for ack in client.ingest("wifi", [_sessions(0)]))
    assert not client.status().disk.full
    other = proxy.home.path.with_name("other")
    fill(other)

    failed, batches = _fails_to_store(client)
    assert isinstance(failed, errors.TrustedStoreUnavailableError)
    assert "the disk of the proxy's home is full" in str(failed)
    assert "what was acknowledged is stored" in str(failed)
    assert client.status().disk.full
    assert proxy.metrics.registry.get_sample_value("privacyplease_proxy_home_full") == 1
    fill(other)  # whoever filled the disk goes on, but for what the reserve freed
    with pytest.raises(errors.AuditUnavailableError, match="the disk of the proxy's home is full"):
        client.presence(DEVICE, *DAY, purpose="test")
    assert client.count(*DAY) == acknowledged + batches

    other.unlink()
    assert eventually(lambda: not client.status().disk.full)
    assert list(client.ingest("wifi", [_sessions(batches + 1)]))
    assert client.presence(DEVICE, *DAY, purpose="test").present
    assert client.verify_audit().findings == ()


def test_administrators_calls_are_recorded_in_the_reserve(proxy: Proxied, client: Client) -> None:
    fill(proxy.home.path.with_name("other"))
    for _ in range(50):
        assert client.verify_audit().findings == ()
    assert client.status().disk.full
    with pytest.raises(errors.AuditUnavailableError):
        client.presence(DEVICE, *DAY, purpose="test")
    entries = client.audit_entries(rpc="AuditService/VerifyLog")
    assert sum(entry.event == "asked" for entry in entries) == 50


def _fails_to_store(client: Client) -> tuple[Exception, int]:
    """Sends batches until one is refused; returns its error, and how many were acknowledged before."""
    for number in range(1, 500):
        try:
            list(client.ingest("wifi", [_sessions(number)], retry=lambda _error, _failures: None))
        except errors.PrivacyPleaseError as error:
            return error, number - 1
    raise AssertionError("expected the disk to be full")


def _sessions(number: int) -> pa.Table:
    return pa.table(
        {
            "client_mac": [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"],
            "ap_name": ["ap-1"],
            "association_time": pa.array([EIGHT], pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000], pa.duration("ms")),
        }
    )
