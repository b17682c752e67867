"""Limits of the protection: what the threat model says is not prevented or detected is shown here."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from privacyplease.proxy.v1 import keys_service_pb2, keys_service_pb2_grpc, occupancy_service_pb2
from tests.services.cells import refusal
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import serving

NOON = 1_727_784_000_000
HOUR = 3_600_000
EPOCH = 30 * 24 * HOUR
ALL = interval(NOON - HOUR, NOON + HOUR)


def session(device: int) -> dict[str, Any]:
    return {
        "client_mac": f"0a:5b:0c:7d:0e:{device:02x}",
        "ap_name": "ap-1",
        "association_time": datetime.fromtimestamp(NOON / 1_000, UTC),
        "session_duration": timedelta(minutes=1),
    }


def ingest(proxy: Proxied, *devices: int) -> None:
    (answer,) = proxy.ingest("wifi", [session(device) for device in devices])
    assert answer.accepted == len(devices)


def count(proxy: Proxied) -> int:
    return proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=ALL)).distinct_devices


class CopiedSite:
    """A store and a proxy's home in separate folders, served for a while at a time."""

    def __init__(self, folder: Path) -> None:
        self.store, self.home = folder / "store", folder / "home"
        self.store.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def served(self, witnesses: Sequence[str] = ()) -> Iterator[Proxied]:
        with (
            serving(f"sqlite:///{self.store / 'cells.db'}") as storage,
            proxying(self.home, storage.address, witnesses=witnesses) as proxy,
        ):
            yield proxy


@pytest.fixture
def site(tmp_path: Path) -> CopiedSite:
    """Has two records; `tmp_path / "before"` is a copy from between them."""
    site = CopiedSite(tmp_path / "now")
    with site.served() as proxy:
        ingest(proxy, 1)
    shutil.copytree(tmp_path / "now", tmp_path / "before")
    with site.served() as proxy:
        ingest(proxy, 2)
    return site


def restore(folder: Path, before: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(before, folder)


def test_a_store_rolled_back_by_itself_is_detected(site: CopiedSite, tmp_path: Path) -> None:
    restore(site.store, tmp_path / "before" / "store")
    with site.served() as proxy, pytest.raises(grpc.RpcError) as raised:
        count(proxy)
    assert raised.value.code() is grpc.StatusCode.DATA_LOSS


def test_a_home_rolled_back_by_itself_is_detected(site: CopiedSite, tmp_path: Path) -> None:
    restore(site.home, tmp_path / "before" / "home")
    with site.served() as proxy, pytest.raises(grpc.RpcError) as raised:
        count(proxy)
    assert refusal(raised.value)[1].reason == "ERROR_REASON_ROLLED_BACK"


def test_a_store_and_a_home_rolled_back_together_are_not_detected(site: CopiedSite, tmp_path: Path) -> None:
    restore(site.store, tmp_path / "before" / "store")
    restore(site.home, tmp_path / "before" / "home")
    with site.served() as proxy:
        assert count(proxy) == 1


def test_a_store_and_a_home_rolled_back_together_are_detected_with_a_witness(site: CopiedSite, tmp_path: Path) -> None:
    witness = tmp_path / "another host"
    witness.mkdir()
    with site.served([str(witness)]) as proxy:
        ingest(proxy, 3)
    restore(site.store, tmp_path / "before" / "store")
    restore(site.home, tmp_path / "before" / "home")
    with site.served([str(witness)]) as proxy, pytest.raises(grpc.RpcError) as raised:
        count(proxy)
    assert refusal(raised.value)[1].reason == "ERROR_REASON_ROLLED_BACK"


def test_a_backup_of_the_home_opens_what_was_destroyed_after_it(site: CopiedSite, tmp_path: Path) -> None:
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", containing=instant(NOON))
    with site.served() as proxy:
        assert keys_service_pb2_grpc.KeysServiceStub(proxy.channel).DestroyEpochs(request).cells
        assert count(proxy) == 0
    restore(site.store, tmp_path / "before" / "store")
    with site.served() as proxy:
        assert count(proxy) == 0
    restore(site.home, tmp_path / "before" / "home")
    with site.served() as proxy:
        assert count(proxy) == 1


def test_the_home_names_data_sets_and_periods_and_no_record(site: CopiedSite) -> None:
    with closing(sqlite3.connect(site.home / "trusted.db")) as connection:
        named = connection.execute("SELECT DISTINCT dataset FROM segments").fetchall()
        periods = connection.execute("SELECT epoch FROM data_keys WHERE dataset = 'wifi'").fetchall()
    assert (named, periods) == ([("wifi",)], [(NOON // EPOCH,)])
    held = b"".join(file.read_bytes() for file in site.home.rglob("*") if file.is_file())
    for value in (b"ap-1", b"0a:5b:0c:7d:0e:01", bytes.fromhex("0a5b0c7d0e01"), bytes.fromhex("010e7d0c5b0a")):
        assert value not in held
    for start in (NOON.to_bytes(8, "big"), NOON.to_bytes(8, "little"), str(NOON).encode()):
        assert start not in held
