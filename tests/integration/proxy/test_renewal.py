"""A renewed key: the old one opens nothing that is stored, and no answer changes, whatever happens in between."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from sqlalchemy import func, select, text

from privacyplease.proxy.erasing import Erasing
from privacyplease.proxy.errors import StorageUnavailableError
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records.dataset import load
from privacyplease.proxy.records.timeline import EARLIEST, GENERATION, LATEST
from privacyplease.proxy.renewing import Renewing
from privacyplease.proxy.sealing import Sealing
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from tests.integration.proxy.test_export import answers, full_keyring
from tests.integration.proxy.test_export import session as visit
from tests.services.cells import refusal
from tests.services.proxy import Proxied, instant, proxying
from tests.services.storage import Served

DAY = 86_400_000
WIDTH = 30 * DAY
EPOCH = 665
FIRST = EPOCH * WIDTH  # 2024-08-14
SECOND = FIRST + WIDTH
WIFI = load()["wifi"]
STEP = 53 * 3_600_000


@pytest.fixture
def filled(proxy: Proxied) -> Proxied:
    """Two epochs with data, of many hours and of sessions that last for days."""
    ingest(proxy, 0)
    return proxy


def ingest(proxy: Proxied, offset: int) -> None:
    starts = range(FIRST + offset, SECOND + WIDTH, STEP)
    proxy.ingest("wifi", [visit(at, n % 40, f"ap-{n % 3}", hours=1 + 30 * (n % 9 == 0)) for n, at in enumerate(starts)])


def renew(proxy: Proxied, at: int = FIRST + DAY) -> pb.RotateEpochResponse:
    return proxy.keys.RotateEpoch(pb.RotateEpochRequest(dataset="wifi", containing=instant(at)))


def everything(proxy: Proxied) -> list[Any]:
    whole = proxy.records("wifi", "subject", EARLIEST, LATEST)
    return [answers(proxy, FIRST, SECOND + WIDTH), sorted(map(str, whole.to_pylist()))]


def epochs(proxy: Proxied) -> list[tuple[int, int]]:
    listed = proxy.keys.ListKeys(pb.ListKeysRequest(dataset="wifi")).datasets[0].epochs
    return [(epoch.state, epoch.renewals) for epoch in listed]


def rows(proxy: Proxied, number: int) -> list[int]:
    """How many rows the trusted store has for a key's number: keys, open buckets, runs, ledger, journal."""
    tables = (trusted_store.data_keys, trusted_store.open_buckets, trusted_store.runs)
    tables += (trusted_store.ledger, trusted_store.journal)
    with trusted_store.open_store(proxy.home.trusted_store).connect() as connection:
        return [
            connection.scalar(select(func.count()).select_from(t).where(t.c.epoch == number, t.c.dataset == "wifi"))
            for t in tables
        ]


def cells(storage: Served) -> int:
    with storage.store._engine.connect() as connection:
        return int(connection.scalar(text("SELECT COUNT(*) FROM cells")) or 0)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_renewed_key_changes_no_answer_and_leaves_nothing_of_the_old_one(
    filled: Proxied, storage: Served, compacted: bool
) -> None:
    if compacted:
        filled.compact("wifi")
    before, number = everything(filled), cells(storage)
    with full_keyring(filled.home) as (keyring, _, holdings):
        old_key = keyring._open("wifi", EPOCH)
        old_tags = [
            tag
            for index in WIFI.indexes.values()
            for tag, of in predicate(
                WIFI, index, holdings.all("wifi", index.name, WIFI.timeline).places, None, keyring
            ).items()
            if of == EPOCH
        ]
    done = renew(filled)
    renewed = done.epoch
    assert (renewed.start.ToMilliseconds(), renewed.state, renewed.renewals) == (FIRST, pb.EPOCH_STATE_IN_USE, 1)
    assert done.records == 2 * sum(FIRST <= at < SECOND for at in range(FIRST, SECOND + WIDTH, STEP))
    assert everything(filled) == before
    assert list(Storage.connect(storage.address).select(old_tags)) == []
    assert compacted or cells(storage) == number
    assert rows(filled, EPOCH) == [0, 0, 0, 0, 0]
    with full_keyring(filled.home) as (keyring, *_):
        assert keyring.generations("wifi", EPOCH) == [EPOCH + GENERATION]
        assert keyring._open("wifi", EPOCH + GENERATION) != old_key
    assert epochs(filled) == [(pb.EPOCH_STATE_IN_USE, 1), (pb.EPOCH_STATE_IN_USE, 0)]


def test_records_of_a_renewed_period_go_under_the_new_key_and_it_can_be_renewed_again(
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
        assert rows(again, EPOCH + GENERATION) == [0, 0, 0, 0, 0]


def test_a_renewed_period_is_destroyed_as_any_other(filled: Proxied, storage: Served) -> None:
    renew(filled)
    filled.keys.DestroyEpochs(pb.DestroyEpochsRequest(dataset="wifi", containing=instant(FIRST)))
    assert epochs(filled) == [(pb.EPOCH_STATE_DESTROYED, 0), (pb.EPOCH_STATE_IN_USE, 0)]
    (late,) = filled.ingest("wifi", [visit(FIRST + DAY, 1)])
    assert late.accepted == 0
    assert filled.records("wifi", "subject", FIRST, SECOND - DAY).num_rows == 0
    with proxying(filled.home.path, storage.address) as again:
        assert epochs(again) == [(pb.EPOCH_STATE_DESTROYED, 0), (pb.EPOCH_STATE_IN_USE, 0)]
        with pytest.raises(grpc.RpcError) as refused:
            renew(again)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_INVALID_REQUEST"


STEPS = {
    "before anything is sealed again": (Renewing, "_reseal"),
    "while records are sealed again": (Sealing, "reseal"),
    "before the old key is out of use": (Erasing, "retire"),
    "before the old cells are deleted": (Storage, "delete"),
}


@pytest.mark.parametrize("step", STEPS)
def test_what_is_cut_short_at_any_step_changes_no_answer_and_is_finished(
    step: str, filled: Proxied, storage: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, (owner, method) = everything(filled), STEPS[step]
    real, calls = getattr(owner, method), []

    def fail_the_second_time(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > (method == "reseal"):
            raise StorageUnavailableError("away")
        return real(*arguments)

    with monkeypatch.context() as crash:
        crash.setattr(owner, method, fail_the_second_time)
        with pytest.raises(grpc.RpcError):
            renew(filled)
        assert everything(filled) == before
    with proxying(filled.home.path, storage.address) as again:
        renew_or_wait(again)
        assert everything(again) == before
        assert rows(again, EPOCH) == [0, 0, 0, 0, 0]


def renew_or_wait(proxy: Proxied) -> None:
    """The background finishes it at the start."""
    finished = threading.Event()
    for _ in range(200):
        if rows(proxy, EPOCH)[0] == 0:
            return
        finished.wait(0.05)
    raise AssertionError("nobody finished it")


def test_answers_stay_right_and_records_come_in_while_it_runs(filled: Proxied) -> None:
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
    for _ in range(3):
        renew(filled)
    running.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert epochs(filled)[0] == (pb.EPOCH_STATE_IN_USE, 3)


def test_a_period_without_a_key_is_refused(filled: Proxied) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        renew(filled, FIRST - 1)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_INVALID_REQUEST"


def test_a_cell_that_is_withheld_stops_it(filled: Proxied, storage: Served) -> None:
    with storage.store._engine.begin() as connection:
        connection.execute(text("DELETE FROM cells WHERE tag IN (SELECT tag FROM cells LIMIT 40)"))
    with pytest.raises(grpc.RpcError) as refused:
        renew(filled)
    assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    assert rows(filled, EPOCH)[0] == 1
