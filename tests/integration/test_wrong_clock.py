"""Both servers as real processes whose clock is put forward by an hour, or back, while they run and between runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from privacyplease.client import Client, errors
from privacyplease.proxy.certificates.folder import Certificates
from tests.services.certificates import Made
from tests.services.daemon import Daemon
from tests.services.kafka import free_ports
from tests.services.polling import eventually
from tests.services.wrong_clock import WrongClock

HOUR = 3_600
EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
DAY = EIGHT, EIGHT + timedelta(hours=12)


class Site(NamedTuple):
    """Both servers with certificates, and their clock."""

    clock: WrongClock
    storage: Daemon
    proxy: Daemon
    address: str
    made: Made

    def client(self) -> Client:
        """A new connection, whose certificates are checked by the clock as it is."""
        return Client(self.address, certificates=self.made["clients/operator"])

    def restart(self) -> None:
        for each in (self.storage, self.proxy):
            each.kill()
            each.start()
        self.wait()

    def wait(self) -> None:
        assert eventually(self._serves, 60), self.proxy.log

    def _serves(self) -> bool:
        try:
            with self.client() as client:
                return client.status().storage.reachable
        except errors.PrivacyPleaseError:
            return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clock, made = WrongClock(tmp_path), Made(tmp_path)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    server = ["-m", "privacyplease.server", "--listen", addresses[0], "--certificates", str(made["storage"])]
    proxy = ["-m", "privacyplease.proxy", "--listen", addresses[1], "--certificates", str(made["proxy"])]
    proxy += ["--storage-certificates", str(made["proxy-to-storage"]), "--storage-server", addresses[0]]
    with ExitStack() as running:
        url = {"PRIVACYPLEASE_STORAGE": f"sqlite:///{tmp_path}/cells.db"}
        storage = running.enter_context(Daemon("server", server, tmp_path, **url, **clock.environment))
        home = ["--home", str(tmp_path / "home")]
        started = Site(
            clock,
            storage,
            running.enter_context(Daemon("proxy", [*proxy, *home], tmp_path, **clock.environment)),
            addresses[1],
            made,
        )
        started.wait()
        yield started


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_clock_that_jumps_an_hour_and_back_loses_nothing_and_refuses_nothing(site: Site, ahead: int) -> None:
    with site.client() as client:
        stored = _ingest(client, 0)
        site.clock.put(ahead)
        stored += _ingest(client, 1)
        _works(client, stored)
    with site.client() as client:
        _works(client, stored)
    site.restart()
    with site.client() as client:
        stored += _ingest(client, 2)
        _works(client, stored)
        site.clock.put(0)
        stored += _ingest(client, 3)
        _works(client, stored)
    site.restart()
    with site.client() as client:
        stored += _ingest(client, 4)
        _works(client, stored)
        times = [entry.at for entry in client.audit_entries(rpc="VerificationService/Verify")]
        assert len(times) >= 5
        assert max(times) - min(times) > timedelta(minutes=50)  # it states the time of the system's clock


def test_a_certificate_issued_by_a_clock_an_hour_ahead_is_valid_when_the_clock_is_right(site: Site) -> None:
    certificates: Certificates = site.made.certificates
    certificates.issue("alice", datetime.now(UTC) + timedelta(seconds=HOUR))
    with Client(site.address, certificates=site.made["clients/alice"]) as alice:
        assert alice.whoami().name == "alice"


def _ingest(client: Client, number: int) -> int:
    """Stores a record of a device of its own; returns how many were accepted."""
    records = pa.table(
        {
            "client_mac": [f"02:00:00:00:00:{number:02x}"],
            "ap_name": ["ap-1"],
            "association_time": pa.array([EIGHT], pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000], pa.duration("ms")),
        }
    )
    return sum(ack.accepted for ack in client.ingest("wifi", [records]))


def _works(client: Client, stored: int) -> None:
    """Each record is found once, what is stored is intact, and maintenance goes on."""
    assert client.count(*DAY) == stored
    assert len(client.query("wifi", *DAY, purpose="test").to_arrow()) == stored
    list(client.compact(include_open=True))
    assert client.count(*DAY) == stored
    assert client.verify().findings == ()
    assert client.verify_audit().findings == ()
    assert all(client.whoami().name == "operator" for _ in range(20))
    assert client.status().activity.calls
