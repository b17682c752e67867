"""A restore brings back everything: what the backup knows, and what was stored on the server after it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest

from privacyplease.proxy.backup import archive as backups
from privacyplease.proxy.backup.archive import BackupContents
from privacyplease.proxy.compaction import garbage_collection
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.head import HEAD_BYTES
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import keys_service_pb2, verification_service_pb2
from tests.services.cells import refusal
from tests.services.proxy import PASSPHRASE, Proxied, instant, proxying
from tests.services.storage import Served
from tests.services.tampering import Database

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_727_740_800_000  # 2024-10-01, long over


def sessions(first: int, count: int, start: int = START) -> pa.Table:
    """Sessions of distinct devices, at a few places in a few hours."""
    numbers = range(first, first + count)
    starts = [start + number % 7 * HOUR + number % 60 * MINUTE for number in numbers]
    return pa.table(
        {
            "client_mac": list(numbers),
            "ap_name": [f"ap-{number % 3}" for number in numbers],
            "association_time": pa.array(starts, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([number % 5 * HOUR for number in numbers], pa.duration("ms")),
        }
    )


def devices(proxy: Proxied) -> set[int]:
    """The devices that a query finds."""
    table = proxy.records("wifi", 0, 253_402_300_799_999)
    assert len(table) == len(table.group_by("client_mac").aggregate([]))
    return {int(mac.replace(":", ""), 16) for mac in table["client_mac"].to_pylist()}


def wrong(proxy: Proxied) -> int:
    """How many cells `verify` reports."""
    *_, last = proxy.verification.Verify(verification_service_pb2.VerifyRequest())
    return last.summary.missing + last.summary.unexpected + last.summary.damaged


class BackupSite:
    """A proxy's home that is lost and restored, beside a storage server that stays."""

    def __init__(self, folder: Path, storage: Served) -> None:
        self.home, self.file, self.storage = folder / "home", folder / "backup.tar", storage

    def proxying(self, **more: Any) -> Any:
        return proxying(self.home, self.storage.address, **more)

    def back_up(self, file: Path | None = None) -> None:
        backups.save(BackupContents(Home(self.home)), file or self.file)

    def restore(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        backups.restore(self.file, Home(self.home), self.home.parent / "certificates")

    @property
    def adopted(self) -> dict[str, Any]:
        """The result of the first start after the restore."""
        found: dict[str, Any] = json.loads((self.home / "adopted.json").read_text())
        return found


@pytest.fixture
def site(tmp_path: Path, storage: Served, monkeypatch: pytest.MonkeyPatch) -> BackupSite:
    """A site where replaced cells are removed at once instead of minutes later."""
    monkeypatch.setattr(garbage_collection, "KEPT_MS", -1)
    return BackupSite(tmp_path, storage)


def test_a_restore_brings_back_records_from_before_during_and_after_the_backup(site: BackupSite) -> None:
    with site.proxying() as proxy:
        proxy.ingest("wifi", *(sessions(number, 20) for number in range(0, 200, 20)))
        proxy.compact(include_open=True)
        sent, stopped = [200], threading.Event()

        def ingest() -> None:
            while not stopped.is_set():
                proxy.ingest("wifi", sessions(sent[0], 7))
                sent[0] += 7

        threads = [threading.Thread(target=ingest)]
        threads[0].start()
        try:
            site.back_up()
        finally:
            stopped.set()
            threads[0].join()
        proxy.ingest("wifi", sessions(sent[0], 50), sessions(sent[0] + 50, 50, START + 2 * DAY))
        for _ in range(3):
            proxy.compact(include_open=True)
            proxy.ingest("wifi", sessions(sent[0] + 100, 50))
        everybody = devices(proxy)
    site.restore()
    with site.proxying() as proxy:
        assert devices(proxy) == everybody == set(range(sent[0] + 150))
        assert wrong(proxy) == 0
        assert (site.adopted["missing"], site.adopted["unreadable"]) == (0, 0)
        assert site.adopted["cells"] >= 6
        for _ in range(3):
            proxy.compact(include_open=True)
        proxy.ingest("wifi", sessions(sent[0] + 150, 10))
        assert devices(proxy) == set(range(sent[0] + 160))
        assert wrong(proxy) == 0
    with site.proxying() as proxy:  # nothing is added twice
        assert devices(proxy) == set(range(sent[0] + 160))


def test_the_same_backup_can_be_restored_again(site: BackupSite) -> None:
    """Segments made after the first restore do not get the numbers of segments made before it."""
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 50))
        site.back_up()
    for number in (50, 100):
        with site.proxying() as proxy:
            proxy.ingest("wifi", sessions(number, 50))
            proxy.compact(include_open=True)
            assert devices(proxy) == set(range(number + 50))
        site.restore()
    with site.proxying() as proxy:
        assert devices(proxy) == set(range(150))
        assert wrong(proxy) == 0


@pytest.mark.parametrize("compacted", [False, True])
def test_a_server_that_withholds_cells_known_to_the_backup_is_caught(
    site: BackupSite, sqlite_url: str, compacted: bool
) -> None:
    database = Database(sqlite_url)
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 100))
        known = [row for row in database.rows() if row.sealed_bytes > HEAD_BYTES]
        site.back_up()
        proxy.ingest("wifi", *(sessions(number, 50) for number in range(100, 300, 50)))
        if compacted:
            proxy.compact(include_open=True)
    rows = database.rows()
    assert set(known) < set(rows), "expected a known cell to stay when it is compacted"
    for lost in (known[0], known[-1]):
        database.restore([row for row in rows if row != lost])
        site.restore()
        with site.proxying() as proxy:
            assert site.adopted["missing"] == 1
            assert wrong(proxy) > 0
            with pytest.raises(grpc.RpcError) as raised:
                devices(proxy)
            assert raised.value.code() is grpc.StatusCode.DATA_LOSS
    database.restore(rows)
    site.restore()
    with site.proxying() as proxy:
        assert devices(proxy) == set(range(300))
    database.close()


def test_a_server_can_withhold_later_cells_but_not_bring_them_back_unnoticed(site: BackupSite, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 100))
        site.back_up()
        before = database.rows()
        proxy.ingest("wifi", sessions(100, 100))
    rows = database.rows()
    database.restore(before)
    site.restore()
    with site.proxying() as proxy:
        assert (devices(proxy), wrong(proxy)) == (set(range(100)), 0)
        database.restore(rows)
        assert (devices(proxy), wrong(proxy)) == (set(range(100)), 0)
    database.close()


def test_cells_known_to_the_last_two_backups_stay_and_older_backups_lack_theirs(
    site: BackupSite, sqlite_url: str
) -> None:
    database, files = Database(sqlite_url), [site.file.with_suffix(f".{number}") for number in range(3)]
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 100))
        for file in files:
            site.back_up(file)
            proxy.ingest("wifi", sessions(100, 10))
            proxy.compact(include_open=True)
            proxy.compact(include_open=True)
    rows = database.rows()
    for file, missing in zip(files, (True, False, False), strict=True):
        database.restore(rows)
        site.file = file
        site.restore()
        with site.proxying() as proxy:
            assert (site.adopted["missing"] > 0, wrong(proxy) > 0) == (missing, missing)
            if not missing:
                assert devices(proxy) == set(range(110))
    database.close()


def test_a_restore_names_periods_whose_keys_may_be_lost(site: BackupSite) -> None:
    now, gauge = int(time.time() * 1_000), "privacyplease_proxy_keys_without_backup"
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 50))
        site.back_up()
        assert proxy.metrics.registry.get_sample_value(gauge) == 0
        proxy.ingest("wifi", sessions(50, 50, now - DAY))
        assert proxy.metrics.registry.get_sample_value(gauge) > 0
    site.restore()
    with site.proxying() as proxy:
        assert (devices(proxy), wrong(proxy)) == (set(range(50)), 0)
        (period,) = site.adopted["keyless"]
        assert (period["dataset"], period["start"] <= instant(now).ToJsonString() < period["end"]) == ("wifi", True)
        proxy.ingest("wifi", sessions(50, 50, now - DAY))
        assert (devices(proxy), wrong(proxy)) == (set(range(100)), 0)


def test_a_period_destroyed_after_the_backup_stays_destroyed(site: BackupSite) -> None:
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", containing=instant(START))
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 50))
        site.back_up()
        proxy.keys.DestroyEpochs(request)
    site.restore()
    with site.proxying() as proxy:
        assert (site.adopted["missing"], site.adopted["destroyed"]) == (0, 1)
        assert (devices(proxy), wrong(proxy)) == (set(), 0)


def test_a_backup_contains_nothing_that_opens_a_key(tmp_path: Path, storage: Served) -> None:
    home = Home(tmp_path / "home")
    with proxying(home.path, storage.address, passphrase=None) as proxy:  # one that the proxy generates
        proxy.ingest("wifi", sessions(0, 10))
        about = backups.save(BackupContents(home), tmp_path)
    (file,) = tmp_path.glob("privacyplease-*.tar")
    store = trusted_store.open_store(home.trusted_store)
    master = home.master_key(None)
    keyring = Keyring(store, master, epoch_keys=EpochKeyHolders(home).open(store, "passphrase"))
    keyring.digest_key("wifi", KeyId(START // (30 * DAY)))
    (data_key,) = keyring._opened.values()
    held = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (about["file"], about["bytes"], about["keys"]) == (str(file), len(held), 4)
    assert data_key.reveal() not in held
    assert (home.path / "passphrase").read_bytes().strip() not in held
    assert b"master.key" in held


def test_a_damaged_backup_is_refused(site: BackupSite, tmp_path: Path) -> None:
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 10))
        site.back_up()
    whole = site.file.read_bytes()
    with tarfile.open(site.file) as archive:
        members = archive.getmembers()
    damaged = [b"", *(whole[: member.offset_data + member.size // 2] for member in members)]
    damaged += [whole[: member.offset] for member in members]
    for at in (at for member in members for at in (member.offset + 3, member.offset_data + member.size // 2)):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    shutil.rmtree(site.home)
    for content in damaged:
        site.file.write_bytes(content)
        with pytest.raises(ConfigurationError, match="or it is damaged or truncated"):
            site.restore()
        assert not site.home.exists()
    assert list(tmp_path.glob(".restore-*")) == []


def test_existing_files_are_not_overwritten(site: BackupSite) -> None:
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 10))
        site.back_up()
    with pytest.raises(ConfigurationError, match="exists already and is not overwritten"):
        site.back_up()
    with pytest.raises(ConfigurationError, match="expected an empty or missing folder"):
        backups.restore(site.file, Home(site.home), site.home.parent / "certificates")
    with pytest.raises(ConfigurationError, match="expected a proxy's home"):
        backups.save(BackupContents(Home(site.home / "elsewhere")), site.file.with_suffix(".other"))


def test_a_restored_home_opens_only_with_its_passphrase(site: BackupSite) -> None:
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 10))
        site.back_up()
    site.restore()
    with site.proxying(passphrase="another") as proxy:
        with pytest.raises(grpc.RpcError) as raised:
            devices(proxy)
        assert refusal(raised.value)[1].reason == "ERROR_REASON_WRONG_PASSPHRASE"
    with site.proxying(passphrase=PASSPHRASE) as proxy:
        assert devices(proxy) == set(range(10))


def test_a_proxy_waits_for_the_storage_server_after_a_restore(site: BackupSite) -> None:
    with site.proxying() as proxy:
        proxy.ingest("wifi", sessions(0, 10))
        site.back_up()
    site.restore()
    with (
        pytest.raises(ConfigurationError, match="the restore cannot be finished"),
        proxying(site.home, "127.0.0.1:1"),
    ):
        pass
    with site.proxying() as proxy:
        assert devices(proxy) == set(range(10))


def test_a_shared_trusted_store_is_backed_up_by_its_database(site: BackupSite, tmp_path: Path) -> None:
    shared = tmp_path / "shared.db"
    with site.proxying(trusted_store=f"sqlite:///{shared}") as proxy:
        proxy.ingest("wifi", sessions(0, 50))
        with pytest.raises(ConfigurationError, match="PRIVACYPLEASE_TRUSTED_STORE"):
            site.back_up()
        about = backups.save(BackupContents(Home(site.home), f"sqlite:///{shared}"), site.file)
        assert (about["shared_store"], about["keys"]) == (True, 4)
        dump = tmp_path / "dump.db"
        with closing(sqlite3.connect(shared)) as source, closing(sqlite3.connect(dump)) as copy:
            source.backup(copy)
        proxy.ingest("wifi", sessions(50, 50))
        proxy.compact(include_open=True)
    site.restore()
    for file in tmp_path.glob("shared.db*"):
        file.unlink()
    dump.rename(shared)
    with site.proxying(trusted_store=f"sqlite:///{shared}") as proxy:
        assert devices(proxy) == set(range(100))
        assert wrong(proxy) == 0
