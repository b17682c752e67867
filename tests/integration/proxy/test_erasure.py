"""A destroyed epoch: nothing finds or opens it, its cells are gone, and it stays destroyed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import select, text

from privacyplease.proxy.lifecycle.erasure_log import ERASED
from privacyplease.proxy.manifest.head import HEAD_BYTES
from privacyplease.proxy.records import dataset
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store import tables
from privacyplease.proxy.v1 import dead_letter_service_pb2 as letters_pb
from privacyplease.proxy.v1 import ingest_service_pb2 as ingest_pb
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from privacyplease.proxy.v1 import keys_service_pb2_grpc, occupancy_service_pb2, presence_service_pb2
from tests.services import faulty_proxy
from tests.services.cells import channel_to, refusal
from tests.services.daemon import Daemon
from tests.services.home_inspector import inspecting
from tests.services.polling import eventually
from tests.services.proxy import PASSPHRASE, Proxied, instant, interval, proxying
from tests.services.storage import Served, StorageProcess, serving
from tests.services.tampering import Database

DAY = 86_400_000
WIDTH = 30 * DAY
FIRST = 665 * WIDTH  # 2024-08-14
SECOND = FIRST + WIDTH
EVER = interval(0, FIRST + 100 * WIDTH)
DEVICE = "02:00:00:00:00:01"


def session(start: int, device: str = DEVICE) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start // 1_000))
    return {"client_mac": device, "ap_name": "ap-1", "association_time": at, "session_duration": 60.0}


def ingest(proxy: Proxied, *starts: int) -> ingest_pb.IngestResponse:
    (acknowledged,) = proxy.ingest("wifi", [session(start) for start in starts])
    return acknowledged


def seen(proxy: Proxied) -> list[int]:
    request = presence_service_pb2.FindSessionsRequest(device=DEVICE, interval=EVER, purpose="test")
    return [start for page in proxy.presence.FindSessions(request) for start in page.sessions.starts_unix_ms]


def count(proxy: Proxied) -> int:
    return int(proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=EVER)).distinct_devices)


def destroy(proxy: Proxied, before: int, **more: Any) -> pb.DestroyEpochsResponse:
    return proxy.keys.DestroyEpochs(pb.DestroyEpochsRequest(dataset="wifi", before=instant(before), **more))


def states(proxy: Proxied) -> list[int]:
    listed = proxy.keys.ListKeys(pb.ListKeysRequest(dataset="wifi")).datasets[0]
    return [epoch.state for epoch in listed.epochs]


def cells(storage: Served) -> int:
    """How many cells of segments the database has, whatever the server says. Heads are smaller than any."""
    with storage.store._engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT COUNT(*) FROM cells WHERE sealed_bytes > {HEAD_BYTES}")) or 0)


def wrapped_keys(home: Path) -> list[bytes]:
    with trusted_store.open_store(home / "trusted.db").connect() as connection:
        keys = tables.data_keys.c  # the audit log has its own key
        return [bytes(wrapped) for wrapped in connection.scalars(select(keys.wrapped).where(keys.dataset == "wifi"))]


@pytest.fixture
def filled(proxy: Proxied) -> Proxied:
    """Two epochs with data, in two segments each."""
    ingest(proxy, FIRST, FIRST + 20 * DAY, SECOND)
    ingest(proxy, SECOND - 30_000, SECOND + DAY)
    return proxy


def test_destroyed_records_are_not_found_and_all_others_are(filled: Proxied, storage: Served) -> None:
    before = cells(storage)
    answer = destroy(filled, SECOND)
    assert [(e.start.ToMilliseconds(), e.end.ToMilliseconds(), e.state) for e in answer.epochs] == [
        (FIRST, SECOND, pb.EPOCH_STATE_DESTROYED)
    ]
    assert answer.cells == 4
    assert cells(storage) == before - 4 == 4
    assert seen(filled) == [SECOND, SECOND + DAY]
    assert states(filled) == [pb.EPOCH_STATE_DESTROYED, pb.EPOCH_STATE_IN_USE]
    assert destroy(filled, FIRST + 2 * WIDTH).cells == 4
    assert (seen(filled), count(filled), cells(storage)) == ([], 0, 0)


def test_no_byte_of_an_erased_key_is_left_in_the_trusted_store(filled: Proxied) -> None:
    home = filled.home.path
    doomed, kept = wrapped_keys(home)

    def bytes_of_the_store() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(home.glob("trusted.db*")))

    assert doomed in bytes_of_the_store()
    destroy(filled, SECOND)
    left = bytes_of_the_store()
    assert wrapped_keys(home) == [kept]
    assert not any(doomed[at : at + 8] in left for at in range(len(doomed) - 8))
    assert kept in left


def test_records_of_a_destroyed_period_are_rejected_with_a_reason_and_the_others_are_stored(filled: Proxied) -> None:
    destroy(filled, SECOND)
    records = [session(SECOND + 2 * DAY), session(FIRST + DAY), {"client_mac": "no"}, session(SECOND - 1_000)]
    (acknowledged,) = filled.ingest("wifi", records)
    assert acknowledged.accepted == 1
    rejections = [(r.row, r.field, r.reason) for r in acknowledged.rejections if r.row != 2]
    assert rejections == [(1, "association_time", ERASED), (3, "association_time", ERASED)]
    assert seen(filled) == [SECOND, SECOND + DAY, SECOND + 2 * DAY]
    assert len(wrapped_keys(filled.home.path)) == 1


def test_a_period_stays_destroyed_after_a_restart(filled: Proxied, storage: Served) -> None:
    destroy(filled, SECOND)
    with proxying(filled.home.path, storage.address) as again:
        assert seen(again) == [SECOND, SECOND + DAY]
        assert ingest(again, FIRST).accepted == 0
        assert states(again) == [pb.EPOCH_STATE_DESTROYED, pb.EPOCH_STATE_IN_USE]


def test_a_dry_run_destroys_nothing(filled: Proxied, storage: Served) -> None:
    before = cells(storage)
    (epoch,) = destroy(filled, SECOND, dry_run=True).epochs
    assert (epoch.start.ToMilliseconds(), epoch.state) == (FIRST, pb.EPOCH_STATE_IN_USE)
    assert (cells(storage), len(seen(filled))) == (before, 5)


def test_one_period_is_named_by_an_instant_in_it(filled: Proxied) -> None:
    request = pb.DestroyEpochsRequest(dataset="wifi", containing=instant(SECOND + DAY))
    (epoch,) = filled.keys.DestroyEpochs(request).epochs
    assert epoch.start.ToMilliseconds() == SECOND
    assert seen(filled) == [FIRST, FIRST + 20 * DAY, SECOND - 30_000]


def test_dead_letters_of_a_destroyed_period_cannot_be_opened(
    filled: Proxied, monkeypatch: pytest.MonkeyPatch, storage: Served
) -> None:
    with monkeypatch.context() as then:
        then.setattr(time, "time", lambda: (FIRST + DAY) / 1_000)
        (old,) = filled.letters.Seal(letters_pb.SealRequest(dataset="wifi", payloads=[b"old"])).letters
    (new,) = filled.letters.Seal(letters_pb.SealRequest(dataset="wifi", payloads=[b"new"])).letters
    destroy(filled, SECOND)
    opened = filled.letters.Open(letters_pb.OpenRequest(dataset="wifi", letters=[old, new]))
    assert (list(opened.payloads), list(opened.unopened)) == ([b"", b"new"], [0])


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (pb.DestroyEpochsRequest(dataset="nope", before=instant(0)), "UNKNOWN_DATASET", "dataset"),
        (pb.DestroyEpochsRequest(dataset="wifi"), "INVALID_REQUEST", "which"),
        (pb.DestroyEpochsRequest(dataset="wifi", before=instant(-1)), "INVALID_INTERVAL", "before"),
        (pb.DestroyEpochsRequest(dataset="wifi", containing=instant(100_000 * DAY)), "INVALID_REQUEST", "containing"),
    ],
    ids=["no such data set", "nothing named", "out of bounds", "not ended"],
)
def test_what_breaks_a_rule_is_refused(proxy: Proxied, request_: Any, reason: str, field: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        proxy.keys.DestroyEpochs(request_)
    _, info, violations = refusal(refused.value)
    assert info.reason == f"ERROR_REASON_{reason}"
    assert list(violations) == [field]


def test_destroying_with_an_unavailable_server_is_finished_at_the_next_start(tmp_path: Path, sqlite_url: str) -> None:
    home = tmp_path / "home"
    with StorageProcess(sqlite_url) as storage, proxying(home, storage.address) as proxy:
        ingest(proxy, FIRST, SECOND)
        address = storage.address
        storage.kill()
        with pytest.raises(grpc.RpcError) as refused:
            destroy(proxy, SECOND)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with StorageProcess(sqlite_url, listen=address):
            assert states(proxy) == [pb.EPOCH_STATE_BEING_DESTROYED, pb.EPOCH_STATE_IN_USE]
            assert eventually(lambda: seen(proxy) == [SECOND])
            assert ingest(proxy, FIRST + DAY).accepted == 0
    with serving(sqlite_url) as served, proxying(home, served.address) as proxy:
        assert eventually(lambda: states(proxy) == [pb.EPOCH_STATE_DESTROYED, pb.EPOCH_STATE_IN_USE])
        assert cells(served) == 2
        assert len(wrapped_keys(home)) == 1


@pytest.mark.parametrize("step", faulty_proxy.ERASURE_STEPS)
def test_a_proxy_killed_at_any_step_of_an_erasure_finishes_it_or_has_not_begun(
    step: str, storage: Served, sqlite_url: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with proxying(home, storage.address) as proxy:
        ingest(proxy, FIRST, FIRST + 20 * DAY, SECOND)
        ingest(proxy, SECOND - 30_000, SECOND + DAY)
    destroy_until_killed(step, home, storage, tmp_path)
    with proxying(home, storage.address, cache_bytes=0) as again:
        if step in ("before it is recorded", "in the middle of recording"):
            assert states(again) == [pb.EPOCH_STATE_IN_USE] * 2
            assert len(seen(again)) == 5
            destroy(again, SECOND)
        assert eventually(lambda: states(again) == [pb.EPOCH_STATE_DESTROYED, pb.EPOCH_STATE_IN_USE])
        assert seen(again) == [SECOND, SECOND + DAY]
        with inspecting(again.home) as inspector:
            assert inspector.strays(Database(sqlite_url)) == set()
    assert len(wrapped_keys(home)) == 1


def destroy_until_killed(step: str, home: Path, storage: Served, folder: Path) -> None:
    address = folder / "address"
    where = ["--insecure", "--listen=127.0.0.1:0", f"--home={home}", f"--storage-server={storage.address}"]
    command = ["-m", "tests.services.faulty_proxy", step, *where, f"--address-file={address}"]
    with Daemon("proxy", command, folder, PRIVACYPLEASE_PASSPHRASE=PASSPHRASE) as daemon:
        assert eventually(address.exists, 60), daemon.log
        with channel_to(address.read_text().strip()) as channel, pytest.raises(grpc.RpcError) as killed:
            keys_service_pb2_grpc.KeysServiceStub(channel).DestroyEpochs(
                pb.DestroyEpochsRequest(dataset="wifi", before=instant(SECOND))
            )
        assert killed.value.code() is grpc.StatusCode.UNAVAILABLE, daemon.log


def test_retention_destroys_periods_that_ended_too_long_ago(storage: Served, tmp_path: Path) -> None:
    recent = int(time.time()) // 3_600 * 3_600_000
    home, shipped = tmp_path / "home", Path(dataset.__file__).parent / "datasets" / "wifi.toml"
    with proxying(home, storage.address) as proxy:
        ingest(proxy, FIRST, recent)
        assert seen(proxy) == [FIRST, recent]
    (home / "datasets").mkdir()
    (home / "datasets" / "wifi.toml").write_text('retain = "60d"\n' + shipped.read_text())
    with proxying(home, storage.address) as proxy:
        assert eventually(lambda: states(proxy) == [pb.EPOCH_STATE_DESTROYED, pb.EPOCH_STATE_IN_USE])
        assert seen(proxy) == [recent]
        assert proxy.keys.ListKeys(pb.ListKeysRequest()).datasets[-1].retain.seconds == 60 * 86_400
