"""A compactor that is killed at any step loses nothing and accuses nobody; the next one cleans up after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from privacyplease.client import Client
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.v1 import compaction_service_pb2, compaction_service_pb2_grpc
from tests.integration.known_answers import thirds, wrong_answers
from tests.integration.proxy.test_compaction import everything, sessions, settled
from tests.services import faulty_proxy
from tests.services.cells import channel_to
from tests.services.daemon import Daemon
from tests.services.effort import tries
from tests.services.home_inspector import inspecting
from tests.services.polling import eventually
from tests.services.proxy import PASSPHRASE, proxying
from tests.services.storage import Served
from tests.services.tampering import Database


@pytest.mark.parametrize("step", faulty_proxy.COMPACTION_STEPS)
def test_a_crash_loses_nothing_and_leaves_nothing_behind(
    step: str, storage: Served, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty_proxy.few_records_make_many_cells(monkeypatch.setattr)
    with proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", sessions(2_000))
        settled(proxy)
        proxy.ingest("wifi", sessions(2_000, seed=2))
        before = everything(proxy)
    compact_until_killed(step, storage, tmp_path)
    with proxying(tmp_path / "home", storage.address, cache_bytes=0) as proxy:
        assert everything(proxy) == before
        settled(proxy)
        assert everything(proxy) == before
    with inspecting(Home(tmp_path / "home")) as inspector:
        rows = inspector.rows()
        assert {(row.state, row.settled) for row in rows} == {(SegmentState.LIVE, True)}
        assert len(rows) > 3
        assert all(Group.ROLLUP in row.groups for row in rows)
        assert inspector.strays(Database(sqlite_url)) == set()
        assert inspector.leases() == 0


def compact_until_killed(step: str, storage: Served, folder: Path) -> None:
    address = folder / "address"
    address.unlink(missing_ok=True)
    where = ["--insecure", "--listen=127.0.0.1:0", f"--home={folder / 'home'}", f"--storage-server={storage.address}"]
    command = ["-m", "tests.services.faulty_proxy", step, *where, f"--address-file={address}"]
    with Daemon("proxy", command, folder, PRIVACYPLEASE_PASSPHRASE=PASSPHRASE) as daemon:
        assert eventually(address.exists, 60), daemon.log
        with channel_to(address.read_text().strip()) as channel:
            stub = compaction_service_pb2_grpc.CompactionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as killed:
                list(stub.Compact(compaction_service_pb2.CompactRequest(include_open=True)))
        assert isinstance(killed.value, grpc.Call)
        assert killed.value.code() is grpc.StatusCode.UNAVAILABLE, daemon.log


def test_every_known_answer_is_right_after_any_sequence_of_kills(storage: Served, tmp_path: Path) -> None:
    parts, steps = thirds(tmp_path), list(faulty_proxy.COMPACTION_STEPS)
    ingest_log(storage, tmp_path, *parts[:2])
    for step in steps[3:9:3]:
        compact_until_killed(step, storage, tmp_path)
    ingest_log(storage, tmp_path, parts[2])
    for step in steps[5 :: tries(8, 4)]:
        compact_until_killed(step, storage, tmp_path)
    assert wrong(storage, tmp_path) == []
    with proxying(tmp_path / "home", storage.address) as proxy:
        settled(proxy)
    assert wrong(storage, tmp_path) == []


def ingest_log(storage: Served, folder: Path, *logs: Path) -> None:
    with proxying(folder / "home", storage.address) as proxy:
        to = ["--proxy", proxy.address, "--insecure"]
        for log in logs:
            subprocess.run([sys.executable, "-m", "privacyplease.cli", *to, "ingest", "wifi", str(log)], check=True)


def wrong(storage: Served, folder: Path) -> list[dict[str, Any]]:
    with proxying(folder / "home", storage.address) as proxy, Client(proxy.address, insecure=True) as client:
        return wrong_answers(client)
