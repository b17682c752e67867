"""The storage server while the disk of its database is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from privacyplease.client import Client, errors
from tests.services import absent, mariadb
from tests.services.mariadb import MariaDB
from tests.services.proxy import proxying
from tests.services.small_disk import fill, small_disk
from tests.services.storage import StorageProcess

EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
DAY = EIGHT, EIGHT + timedelta(hours=12)


class Site(NamedTuple):
    """A storage server whose cells are on a small disk, and a client of the proxy before it."""

    disk: Path
    storage: StorageProcess
    client: Client


@contextmanager
def serving(url: str, disk: Path, folder: Path) -> Iterator[Site]:
    """Both servers over a database on the disk."""
    with (
        StorageProcess(url) as storage,
        proxying(folder / "home", storage.address, passphrase=None, compacts=False) as proxy,
        Client(proxy.address, insecure=True) as client,
    ):
        yield Site(disk, storage, client)


def test_a_full_disk_of_sqlite_is_named_and_ingest_goes_on_once_there_is_room(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 16) as disk,
        serving(f"sqlite:///{disk}/cells.db", disk, tmp_path) as site,
    ):
        stored = _ingest(site.client, 0)
        fill(disk / "other")
        failed, more = _fails_to_store(site.client)
        stored += more
        assert "the disk of the storage server's database is full; what was acknowledged is stored" in str(failed)
        assert "the disk of the database is full" in site.storage.log
        assert site.client.count(*DAY) == stored
        (disk / "other").unlink()
        _goes_on(site.client, stored)


def test_a_full_disk_of_mariadb_loses_nothing_and_ingest_goes_on_after_its_restart(tmp_path: Path) -> None:
    absent.require(mariadb.installed(), "mariadbd")
    with (
        small_disk(tmp_path / "disk", 256) as disk,
        MariaDB(options=("--innodb-log-file-size=16M",), root=disk) as database,
        serving(database.create_database("cells"), disk, tmp_path) as site,
    ):
        stored = _ingest(site.client, 0)
        fill(disk / "other")
        failed, more = _fails_to_store(site.client)
        stored += more
        assert isinstance(failed, errors.StorageUnavailableError)
        (disk / "other").unlink()
        database.restart()  # it may have ended itself: it cannot undo a transaction without room
        _goes_on(site.client, stored)


def _goes_on(client: Client, stored: int) -> None:
    stored += sum(ack.accepted for ack in client.ingest("wifi", [_records(1_000)]))  # it retries for a minute
    assert client.count(*DAY) == stored
    assert client.verify().findings == ()


def _fails_to_store(client: Client) -> tuple[Exception, int]:
    """Sends batches until one is refused; returns its error, and how many records were acknowledged before."""
    stored = 0
    for number in range(1, 500):
        try:
            stored += _ingest(client, number)
        except errors.PrivacyPleaseError as error:
            return error, stored
    raise AssertionError("expected the disk to be full")


def _ingest(client: Client, number: int) -> int:
    never = client.ingest("wifi", [_records(number)], retry=lambda _error, _failures: None)
    return sum(ack.accepted for ack in never)


def _records(number: int) -> pa.Table:
    """Records of devices that no other batch has; their cells fill whole pages of a database."""
    count = 2_000
    numbers = range(count)
    return pa.table(
        {
            "client_mac": [f"02:{number >> 8:02x}:{number & 255:02x}:00:{n >> 8:02x}:{n & 255:02x}" for n in numbers],
            "ap_name": ["ap-1"] * count,
            "association_time": pa.array([EIGHT] * count, pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000] * count, pa.duration("ms")),
        }
    )
