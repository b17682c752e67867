"""A home that was rolled back answers nothing until an administrator decides, since a newer head is known elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from privacyplease.proxy.backup import __main__ as backup
from privacyplease.proxy.compaction import plan
from privacyplease.proxy.compaction.background import BackgroundCompaction
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.manifest import manifest
from privacyplease.proxy.manifest.head import kept
from privacyplease.proxy.manifest.witnesses import witness
from privacyplease.proxy.v1 import (
    admin_service_pb2,
    dead_letter_service_pb2,
    keys_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
    stations_service_pb2,
    verification_service_pb2,
)
from tests.services.cells import refusal
from tests.services.home_inspector import inspecting
from tests.services.polling import eventually
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import StorageProcess
from tests.services.tampering import Database

START, MINUTE, HOUR = 1_727_769_600_000, 60_000, 3_600_000
WHEN = interval(START, START + 10 * HOUR)


class RollbackSite:
    """A proxy's home and a storage server's database, each of which may be rolled back."""

    def __init__(self, folder: Path) -> None:
        self.home, self._folder = Home(folder / "home"), folder
        self.url = f"sqlite:///{folder / 'cells.db'}"
        self.server, self._database = StorageProcess(self.url), Database(self.url)
        self.witnesses: list[str] = []

    def proxying(self, **more: Any) -> AbstractContextManager[Proxied]:
        return proxying(self.home.path, self.server.address, witnesses=self.witnesses, **more)

    def ingest(self, *devices: int) -> None:
        """Runs a proxy until it has stored a session of each device, each in a separate flush."""
        with self.proxying() as proxy:
            for device in devices:
                ingest(proxy, device)

    def snapshot(self, *, server: bool = False) -> Callable[[], None]:
        """Copies the home and the server's database, while no proxy runs; returns a function that puts them back."""
        copy, cells = self._folder / "copy", self._database.rows()
        shutil.copytree(self.home.path, copy)

        def roll_back() -> None:
            shutil.rmtree(self.home.path)
            shutil.copytree(copy, self.home.path)
            if server:
                self._database.restore(cells)

        return roll_back

    def accept(self) -> None:
        assert backup.main(["--home", str(self.home.path), "accept"]) == 0

    @property
    def adopted(self) -> dict[str, Any]:
        """The outcome of the restore at the last start."""
        found: dict[str, Any] = json.loads(self.home.adopted.read_text())
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RollbackSite]:
    site = RollbackSite(tmp_path)
    with site.server:
        yield site


def session(device: int) -> pa.Table:
    return pa.table(
        {
            "client_mac": [device],
            "ap_name": ["north door"],
            "association_time": pa.array([START + device * MINUTE], pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([HOUR], pa.duration("ms")),
        }
    )


def ingest(proxy: Proxied, device: int) -> None:
    proxy.ingest("wifi", session(device))


def devices(proxy: Proxied) -> list[int]:
    found = proxy.records("wifi", START, START + 10 * HOUR)["client_mac"].to_pylist()
    return sorted(int(mac.replace(":", ""), 16) for mac in found)


def verified(proxy: Proxied) -> bool:
    summary = list(proxy.verification.Verify(verification_service_pb2.VerifyRequest()))[-1].summary
    return summary.cells > 0 and not (summary.missing or summary.unexpected or summary.damaged)


def health(proxy: Proxied) -> Any:
    return health_pb2_grpc.HealthStub(proxy.channel).Check(health_pb2.HealthCheckRequest()).status


CALLS: dict[str, Callable[[Proxied], Any]] = {
    "ingest": lambda proxy: ingest(proxy, 9),
    "query": devices,
    "presence": lambda proxy: list(
        proxy.presence.FindSessions(
            presence_service_pb2.FindSessionsRequest(device="02:00:00:00:00:01", interval=WHEN, purpose="test")
        )
    ),
    "count": lambda proxy: proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=WHEN)),
    "stations": lambda proxy: list(
        proxy.stations.ListLatest(stations_service_pb2.ListLatestRequest(at=instant(START)))
    ),
    "data sets": lambda proxy: proxy.queries.ListDatasets(query_service_pb2.ListDatasetsRequest()),
    "letters": lambda proxy: proxy.letters.Seal(dead_letter_service_pb2.SealRequest(dataset="wifi", payloads=[b"x"])),
    "keys": lambda proxy: proxy.keys.ListKeys(keys_service_pb2.ListKeysRequest()),
    "export": lambda proxy: list(
        proxy.keys.ExportKeyring(keys_service_pb2.ExportKeyringRequest(interval=WHEN, passphrase="a partner's"))
    ),
    "destroy": lambda proxy: proxy.keys.DestroyEpochs(
        keys_service_pb2.DestroyEpochsRequest(dataset="wifi", containing=instant(START))
    ),
    "renew": lambda proxy: proxy.keys.RotateEpoch(
        keys_service_pb2.RotateEpochRequest(dataset="wifi", containing=instant(START))
    ),
    "compact": lambda proxy: proxy.compact(include_open=True),
    "verify": verified,
    "status": lambda proxy: proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()),
}


def require_refused(proxy: Proxied, *calls: str) -> None:
    for name in calls or CALLS:
        with pytest.raises(grpc.RpcError) as refused:
            CALLS[name](proxy)
        code, info, _ = refusal(refused.value)
        assert (name, code, info.reason) == (name, grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_ROLLED_BACK")


def test_a_rolled_back_home_is_refused_until_an_administrator_accepts_it(site: RollbackSite) -> None:
    site.ingest(1)
    roll_back = site.snapshot()
    site.ingest(2, 3)
    roll_back()
    for _ in range(2):  # starting it again does not help
        with site.proxying() as proxy:
            require_refused(proxy)
            assert health(proxy) == health_pb2.HealthCheckResponse.NOT_SERVING
    site.accept()
    with site.proxying() as proxy:
        assert health(proxy) == health_pb2.HealthCheckResponse.SERVING
        assert devices(proxy) == [1, 2, 3]
        assert (site.adopted["cells"], site.adopted["missing"], site.adopted["unreadable"]) == (4, 0, 0)
        ingest(proxy, 4)
        assert verified(proxy)
    with site.proxying(cache_bytes=0) as proxy:  # and works as before
        assert devices(proxy) == [1, 2, 3, 4]
        proxy.compact(include_open=True)
        assert devices(proxy) == [1, 2, 3, 4]


def test_bringing_the_newer_home_back_is_enough(site: RollbackSite) -> None:
    site.ingest(1)
    roll_back = site.snapshot()
    site.ingest(2)
    newer = shutil.copytree(site.home.path, site.home.path.with_name("newer"))
    roll_back()
    with site.proxying() as proxy:
        require_refused(proxy, "count")
    shutil.rmtree(site.home.path)
    newer.rename(site.home.path)
    with site.proxying() as proxy:
        assert devices(proxy) == [1, 2]


def test_a_rollback_is_detected_however_old_the_home_is(site: RollbackSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the server is told to delete heads that it need not keep."""
    monkeypatch.setattr(manifest, "HEADS_TOGETHER", 4)
    site.ingest(1)
    roll_back = site.snapshot()
    site.ingest(*range(2, 30))
    roll_back()
    with site.proxying() as proxy:
        require_refused(proxy, "count")
    site.accept()
    with site.proxying() as proxy:
        assert devices(proxy) == list(range(1, 30))


def test_a_rollback_is_detected_at_the_first_question_if_the_server_was_unavailable_at_the_start(
    site: RollbackSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the background may have used the home before, which would make it look newer than it is."""
    site.ingest(1, 2)
    roll_back = site.snapshot()
    with site.proxying() as proxy:
        proxy.compact(include_open=True)
        ingest(proxy, 3)
    roll_back()
    monkeypatch.setattr(BackgroundCompaction, "PERIOD_SECONDS", 0.05)
    monkeypatch.setattr(plan, "OVERDUE", -1)
    address = site.server.address
    site.server.kill()
    with proxying(site.home.path, address) as proxy:
        with pytest.raises(grpc.RpcError) as refused:
            devices(proxy)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with StorageProcess(site.url, listen=address):
            assert eventually(lambda: "ROLLED_BACK" in refused_by(proxy))
            with inspecting(site.home) as inspector:
                before = inspector.manifest.head()
                ended = last_round(proxy)
                assert eventually(lambda: last_round(proxy) != ended)
                assert inspector.manifest.head() == before
            require_refused(proxy, "count", "query", "ingest", "compact", "renew", "export")


def refused_by(proxy: Proxied) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        devices(proxy)
    return str(refusal(refused.value)[1].reason)


def last_round(proxy: Proxied) -> Any:
    """When background compaction last ran."""
    return proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).compaction.last_round


def test_a_home_and_a_server_rolled_back_together_are_not_detected_without_a_witness(site: RollbackSite) -> None:
    """As documented: nobody is left who knows a newer head."""
    site.ingest(1)
    roll_back = site.snapshot(server=True)
    site.ingest(2)
    roll_back()
    with site.proxying() as proxy:
        assert devices(proxy) == [1]
        assert verified(proxy)


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_a_witness_exposes_a_home_and_a_server_that_were_rolled_back_together(
    site: RollbackSite, tmp_path: Path, kind: str
) -> None:
    (folder := tmp_path / "elsewhere").mkdir()
    site.witnesses = [str(folder) if kind == "folder" else f"sqlite:///{folder}/witness.db"]
    site.ingest(1)
    roll_back = site.snapshot(server=True)
    site.ingest(2)
    roll_back()
    with site.proxying() as proxy:
        require_refused(proxy)
        assert health(proxy) == health_pb2.HealthCheckResponse.NOT_SERVING
    site.accept()
    for _ in range(2):
        with site.proxying() as proxy:
            assert devices(proxy) == [1]  # what came later is lost with the server's database
            assert verified(proxy)
    site.ingest(3)
    with site.proxying() as proxy:
        assert devices(proxy) == [1, 3]


def test_an_unavailable_witness_blocks_nothing_and_is_reported(site: RollbackSite, tmp_path: Path) -> None:
    (folder := tmp_path / "elsewhere").mkdir()
    site.witnesses = [str(folder)]
    with site.proxying() as proxy:
        ingest(proxy, 1)
        folder.rename(tmp_path / "away")
        ingest(proxy, 2)
        status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).manifest
        assert (status.witnesses, status.witness_failures > 0) == (1, True)
        assert devices(proxy) == [1, 2]
        (tmp_path / "away").rename(folder)
    roll_back = site.snapshot(server=True)
    site.ingest(3)
    roll_back()
    with site.proxying() as proxy:
        require_refused(proxy, "count")


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_a_witness_keeps_the_newest_of_concurrent_heads(site: RollbackSite, tmp_path: Path, kind: str) -> None:
    (folder := tmp_path / "elsewhere").mkdir()
    site.witnesses = [str(folder) if kind == "folder" else f"sqlite:///{folder}/witness.db"]
    with site.proxying() as proxy, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda device: ingest(proxy, device), range(1, 25)))
        status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).manifest
        assert status.witness_failures == 0
    with inspecting(site.home) as inspector:
        heads = inspector.manifest.heads
        recorded = witness(site.witnesses[0]).newest(heads.home)
        assert recorded
        assert heads.open(recorded) == inspector.manifest.head()


def test_the_server_keeps_few_heads_however_many_flushes_run_at_once(
    site: RollbackSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "HEADS_TOGETHER", 4)
    with site.proxying() as proxy, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda device: ingest(proxy, device), range(1, 65)))
    with inspecting(site.home) as inspector:
        newest = inspector.manifest.head().sequence
        stored = inspector.heads() & {row.tag for row in Database(site.url).rows()}
        assert len(stored) <= len(kept(newest)) + 4
        assert newest > 20
