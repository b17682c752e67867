"""A renewed key: the old one opens nothing that is stored, and no answer changes, even after an interruption."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest

from privacyplease.proxy.compaction.rewriting import Rewriter
from privacyplease.proxy.errors import StorageUnavailableError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.key_renewal import KeyRenewal
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.records.timeline import EARLIEST, LATEST
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from tests.integration.proxy.test_export import answers
from tests.integration.proxy.test_export import session as visit
from tests.services.cells import refusal
from tests.services.home_inspector import inspecting
from tests.services.polling import eventually
from tests.services.proxy import Proxied, instant, proxying
from tests.services.storage import Served
from tests.services.tampering import Database

DAY = 86_400_000
WIDTH = 30 * DAY
EPOCH = 665
FIRST = EPOCH * WIDTH  # 2024-08-14
SECOND = FIRST + WIDTH
STEP = 53 * 3_600_000


@pytest.fixture
def filled(proxy: Proxied) -> Proxied:
    """Two epochs with data, of many hours and of sessions that last for days."""
    ingest(proxy, 0)
    return proxy


def ingest(proxy: Proxied, offset: int) -> None:
    starts = range(FIRST + offset, SECOND + WIDTH, STEP)
    visits = [visit(at, n % 40, f"ap-{n % 3}", hours=1 + 30 * (n % 9 == 0)) for n, at in enumerate(starts)]
    proxy.ingest("wifi", *(visits[begin::3] for begin in range(3)))


def renew(proxy: Proxied, at: int = FIRST + DAY) -> pb.RotateEpochResponse:
    return proxy.keys.RotateEpoch(pb.RotateEpochRequest(dataset="wifi", containing=instant(at)))


def everything(proxy: Proxied) -> list[Any]:
    whole = proxy.records("wifi", EARLIEST, LATEST)
    return [answers(proxy, FIRST, SECOND + WIDTH), sorted(map(str, whole.to_pylist()))]


def epochs(proxy: Proxied) -> list[tuple[int, int]]:
    listed = proxy.keys.ListKeys(pb.ListKeysRequest(dataset="wifi")).datasets[0].epochs
    return [(epoch.state, epoch.renewals) for epoch in listed]


def left(proxy: Proxied, generation: int = 0) -> int:
    """How much is left of the first epoch's old key: the key itself and segments under it."""
    key = KeyId(EPOCH, generation)
    with inspecting(proxy.home) as inspector:
        keys = inspector.keyring.generations("wifi", EPOCH)
        return keys.count(key) + sum(row.key == key for row in inspector.rows())


@pytest.mark.parametrize("compacted", [False, True])
def test_renewing_a_key_changes_no_answer_and_leaves_nothing_under_the_old_one(
    filled: Proxied, storage: Served, sqlite_url: str, compacted: bool
) -> None:
    if compacted:
        filled.compact("wifi", include_open=True)
    before = everything(filled)
    with inspecting(filled.home) as inspector:
        old = [row for row in inspector.rows() if row.key == KeyId(EPOCH)]
        old_tags, records = (
            inspector.tags(old),
            sum(row.summary.records for row in old if row.state is SegmentState.LIVE),
        )
    done = renew(filled)
    renewed = done.epoch
    assert (renewed.start.ToMilliseconds(), renewed.state, renewed.renewals) == (FIRST, pb.EPOCH_STATE_IN_USE, 1)
    assert done.records == records == len(range(FIRST, SECOND, STEP))
    assert everything(filled) == before
    assert StorageClient.connect(storage.address).select(old_tags) == {}
    assert left(filled) == 0
    with inspecting(filled.home) as inspector:
        assert inspector.keyring.generations("wifi", EPOCH) == [KeyId(EPOCH, 1)]
        assert inspector.strays(Database(sqlite_url)) == set()
    assert epochs(filled) == [(pb.EPOCH_STATE_IN_USE, 1), (pb.EPOCH_STATE_IN_USE, 0)]


def test_records_of_a_renewed_period_are_sealed_under_the_new_key_which_can_be_renewed_again(
    filled: Proxied, storage: Served
) -> None:
    renew(filled)
    ingest(filled, 3_600_000)
    before = everything(filled)
    with proxying(filled.home.path, storage.address) as again:
        assert everything(again) == before
        renew(again)
        assert everything(again) == before
        assert epochs(again)[0] == (pb.EPOCH_STATE_IN_USE, 2)
        assert left(again, 1) == 0


def test_a_renewed_period_can_be_destroyed(filled: Proxied, storage: Served) -> None:
    renew(filled)
    filled.keys.DestroyEpochs(pb.DestroyEpochsRequest(dataset="wifi", containing=instant(FIRST)))
    assert epochs(filled) == [(pb.EPOCH_STATE_DESTROYED, 0), (pb.EPOCH_STATE_IN_USE, 0)]
    (late,) = filled.ingest("wifi", [visit(FIRST + DAY, 1)])
    assert late.accepted == 0
    assert filled.records("wifi", FIRST, SECOND - DAY).num_rows == 0
    with proxying(filled.home.path, storage.address) as again:
        assert epochs(again) == [(pb.EPOCH_STATE_DESTROYED, 0), (pb.EPOCH_STATE_IN_USE, 0)]
        with pytest.raises(grpc.RpcError) as refused:
            renew(again)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_INVALID_REQUEST"


STEPS = {
    "before anything is sealed again": (KeyRenewal, "_reseal"),
    "while records are sealed again": (Rewriter, "rewrite"),
    "before the new segments are switched to": (Rewriter, "_switch"),
    "before the old key is retired": (EpochEraser, "retire"),
    "before the old segments are deleted": (SegmentDeleter, "delete"),
    "before the old cells are deleted": (StorageClient, "delete"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_renewal_killed_at_any_step_changes_no_answer_and_is_finished(
    step: str, filled: Proxied, storage: Served, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, (owner, method) = everything(filled), STEPS[step]

    def fail(*_: Any) -> Any:
        raise StorageUnavailableError("unavailable")

    with monkeypatch.context() as crash:
        crash.setattr(owner, method, fail)
        with pytest.raises(grpc.RpcError):
            renew(filled)
        assert everything(filled) == before
        assert epochs(filled)[0] == (pb.EPOCH_STATE_IN_USE, 1)
    with proxying(filled.home.path, storage.address, cache_bytes=0) as again:
        assert eventually(lambda: left(again) == 0)  # the background thread finishes it at the start
        assert everything(again) == before
        with inspecting(again.home) as inspector:
            assert inspector.strays(Database(sqlite_url)) == set()


def test_ingest_and_questions_are_correct_during_a_renewal(filled: Proxied) -> None:
    before, wrong, running = everything(filled), [], threading.Event()

    def ask() -> None:
        while not running.is_set():
            try:
                found = everything(filled)
            except grpc.RpcError as error:
                found = [str(error)]
            if found != before:
                wrong.append(found)

    def send() -> None:
        while not running.is_set():
            ingest(filled, 0)  # the same records again: no answer changes

    threads = [threading.Thread(target=work) for work in (ask, send)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            renew(filled)
    finally:
        running.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert epochs(filled)[0] == (pb.EPOCH_STATE_IN_USE, 3)


def test_a_period_without_a_key_is_refused(filled: Proxied) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        renew(filled, FIRST - 1)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_INVALID_REQUEST"


def test_a_withheld_cell_stops_a_renewal_and_both_keys_stay(filled: Proxied, storage: Served) -> None:
    with inspecting(filled.home) as inspector:
        tag, *_ = inspector.tags(row for row in inspector.rows() if row.key.epoch == EPOCH)
    StorageClient.connect(storage.address).delete([tag])
    with pytest.raises(grpc.RpcError) as refused:
        renew(filled)
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    assert left(filled) > 1
