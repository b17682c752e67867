"""Proxies that share a trusted store: each knows what the others changed, and none accuses the server of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pyarrow as pa
import pytest
from sqlalchemy import Connection

from privacyplease.client import Client
from privacyplease.client.errors import TrustedStoreUnavailableError
from privacyplease.proxy.backup import registry
from privacyplease.proxy.compaction import garbage_collection
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.lifecycle import flush_recovery
from privacyplease.proxy.lifecycle.retention import Retention
from privacyplease.proxy.manifest import statements
from privacyplease.proxy.manifest.changes import Change
from privacyplease.proxy.manifest.head import Head
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import keys_service_pb2
from privacyplease.proxy.v1 import verification_service_pb2 as pb
from tests.integration.proxy import test_crashes as crashes
from tests.services import faulty_proxy
from tests.services.cells import refusal
from tests.services.home_inspector import inspecting
from tests.services.mariadb import MariaDB
from tests.services.polling import eventually
from tests.services.proxy import Proxied, instant, proxying
from tests.services.storage import Served
from tests.services.tampering import Database

START, HOUR = 1_727_769_600_000, 3_600_000
EPOCH = 30 * 24 * HOUR


def batch(device: int, at: int = START) -> pa.Table:
    """A session of a device."""
    return pa.table(
        {
            "client_mac": [device],
            "ap_name": ["north door"],
            "association_time": pa.array([at], pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([HOUR], pa.duration("ms")),
        }
    )


def devices(proxy: Proxied, start: int = START, end: int = START + HOUR) -> set[int]:
    """The distinct devices that are found."""
    found = proxy.records("wifi", start, end)["client_mac"].to_pylist()
    assert len(found) == len(set(found))
    return {int(mac.replace(":", ""), 16) for mac in found}


def sound(proxy: Proxied) -> bool:
    """Whether verifying the store finds nothing."""
    summary = list(proxy.verification.Verify(pb.VerifyRequest()))[-1].summary
    return summary.cells > 0 and not (summary.missing or summary.unexpected or summary.damaged)


class Pair(NamedTuple):
    """Two proxies over one store and one trusted store."""

    one: Proxied
    other: Proxied
    url: str


@pytest.fixture(params=["sqlite", "mariadb"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty trusted store."""
    url: str = (
        request.getfixturevalue("mariadb_url") if request.param == "mariadb" else f"sqlite:///{tmp_path}/shared.db"
    )
    return url


@pytest.fixture
def pair(tmp_path: Path, storage: Served, shared_url: str) -> Iterator[Pair]:
    with proxying(tmp_path / "one", storage.address, trusted_store=shared_url) as one:
        shutil.copytree(tmp_path / "one", tmp_path / "other")
        with proxying(tmp_path / "other", storage.address, trusted_store=shared_url) as other:
            yield Pair(one, other, shared_url)


def together(*calls: Callable[[], object]) -> None:
    """Calls all of them concurrently; raises what any of them raises."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for call in [pool.submit(call) for call in calls]:
            call.result()


def test_two_proxies_can_ingest_and_ask_at_once(pair: Pair) -> None:
    batches = 20  # of each

    def ingest(proxy: Proxied, first: int) -> None:
        answers = proxy.ingest("wifi", *(batch(device) for device in range(first, first + batches)))
        assert [answer.accepted for answer in answers] == [1] * batches

    def ask(proxy: Proxied) -> None:
        seen: set[int] = set()
        for _ in range(10):
            found = devices(proxy)
            assert found >= seen  # nothing that was found before is missing
            seen = found

    together(
        lambda: ingest(pair.one, 0),
        lambda: ingest(pair.other, batches),
        lambda: ask(pair.one),
        lambda: ask(pair.other),
    )
    assert devices(pair.one) == devices(pair.other) == set(range(2 * batches))
    assert sound(pair.one)
    assert sound(pair.other)


def test_two_proxies_agree_on_one_key_for_a_new_epoch(pair: Pair) -> None:
    for epoch in range(1, 4):
        at = START + epoch * EPOCH
        together(
            lambda at=at: pair.one.ingest("wifi", batch(1, at)),  # type: ignore[misc]
            lambda at=at: pair.other.ingest("wifi", batch(2, at)),  # type: ignore[misc]
        )
        assert devices(pair.one, at, at + HOUR) == devices(pair.other, at, at + HOUR) == {1, 2}
    assert sound(pair.one)


def test_records_stored_by_one_proxy_are_found_by_the_other_at_once(pair: Pair) -> None:
    for number in range(1, 4):
        late = START + number * 24 * HOUR
        giver, asker = (pair.one, pair.other) if number % 2 else (pair.other, pair.one)
        assert devices(asker, late, late + HOUR) == set()
        giver.ingest("wifi", batch(number, late))
        assert devices(asker, late, late + HOUR) == {number}


def test_cells_compacted_by_one_proxy_are_not_asked_for_by_the_other(
    pair: Pair, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_collection, "KEPT_MS", -1)
    for number in range(6):
        (pair.one if number % 2 else pair.other).ingest("wifi", batch(number))
        assert devices(pair.one) == devices(pair.other) == set(range(number + 1))
    for proxy in (pair.one, pair.other):
        proxy.compact(include_open=True)
    assert devices(pair.one) == devices(pair.other) == set(range(6))
    with inspecting(pair.one.home, pair.url) as inspector:
        assert len(inspector.rows()) == 1
        assert inspector.strays(Database(sqlite_url)) == set()


def test_a_proxy_that_missed_too_many_versions_reads_all_rows_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_collection, "KEPT_MS", -1)
    monkeypatch.setattr(statements, "_REMEMBERED", 4)
    pair.one.ingest("wifi", batch(0))
    assert devices(pair.other) == {0}
    for number in range(1, 8):
        pair.one.ingest("wifi", batch(number))
        pair.one.compact(include_open=True)
    assert devices(pair.other) == set(range(8))
    assert sound(pair.other)


def test_numbers_are_never_assigned_twice_and_not_used_if_reserved_too_long_ago(
    pair: Pair, storage: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "RESERVED", 100)
    for number in range(3):
        pair.one.ingest("wifi", batch(number))  # reserves more numbers than it uses
        with proxying(pair.other.home.path, storage.address, trusted_store=pair.url) as another:
            another.ingest("wifi", batch(10 + number))
    with inspecting(pair.one.home, pair.url) as inspector:
        numbers = [row.number for row in inspector.rows()]
    assert len(numbers) == 6
    assert max(numbers) - min(numbers) > 100
    assert devices(pair.one) == devices(pair.other) == {0, 1, 2, 10, 11, 12}
    assert sound(pair.other)


def test_changes_have_versions_in_the_order_in_which_they_are_committed(pair: Pair) -> None:
    """Otherwise a proxy that has seen the later change would never see the earlier one."""
    pair.one.ingest("wifi", batch(1))
    with (
        inspecting(pair.one.home, pair.url) as one,
        inspecting(pair.one.home, pair.url) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        before, begun, running = one.manifest.head().version, threading.Event(), []

        def change() -> int:
            begun.set()
            other.manifest.commit(Change())
            return other.manifest.head().version

        def check(_: Connection) -> None:
            running.append(pool.submit(change))
            assert begun.wait(10)
            with pytest.raises(TimeoutError):
                running[0].result(timeout=0.5)

        one.manifest.commit(Change(), check=check)
        assert running[0].result(timeout=10) == before + 2


def test_a_concurrent_flush_of_another_proxy_is_not_taken_for_a_rollback(
    pair: Pair, storage: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.one.ingest("wifi", batch(1))
    whole: Callable[[RollbackCheck], Head | None] = RollbackCheck.newest_elsewhere

    def meanwhile(currency: RollbackCheck) -> Head | None:
        if not came:
            came.append(True)
            pair.one.ingest("wifi", batch(2))
        return whole(currency)

    came: list[bool] = []
    monkeypatch.setattr(RollbackCheck, "newest_elsewhere", meanwhile)
    with proxying(pair.other.home.path, storage.address, trusted_store=pair.url) as starting:
        assert came
        assert devices(starting) == {1, 2}


def test_backups_of_a_shared_store_are_recorded(shared_url: str) -> None:
    store = trusted_store.open_url(shared_url)
    assert registry.needed_after(store) is None
    number = registry.begin(store)
    assert registry.needed_after(store) == 0  # what runs may turn out to be whole
    registry.finish(store, number)
    assert registry.needed_after(store) == 0
    assert registry.keys_without_backup(store) == 0
    registry.abandon(store, registry.begin(store))
    assert registry.needed_after(store) == 0


def test_a_proxy_without_the_master_key_does_not_start(pair: Pair, tmp_path: Path, storage: Served) -> None:
    pair.one.ingest("wifi", batch(1))
    with (
        pytest.raises(ConfigurationError, match="copy it from another proxy"),
        proxying(tmp_path / "stranger", storage.address, trusted_store=pair.url),
    ):
        pass


@pytest.mark.parametrize("act", ["DestroyEpochs", "RotateEpoch"])
def test_no_key_is_destroyed_that_the_master_key_alone_wraps(pair: Pair, act: str) -> None:
    pair.one.ingest("wifi", batch(1))
    request: Any = getattr(keys_service_pb2, f"{act}Request")(dataset="wifi", containing=instant(START))
    with pytest.raises(grpc.RpcError) as refused:
        getattr(pair.one.keys, act)(request)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_INVALID_REQUEST"
    assert "--epoch-keys" in str(refused.value)
    assert devices(pair.one) == devices(pair.other) == {1}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://host/database", "mysql://, mariadb:// or sqlite:///FILE"),
        ("nonsense", "expected a URL"),
        ("mysql://nobody:secret@127.0.0.1:1/none", "127.0.0.1: cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_without_its_password(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        trusted_store.open_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("step", faulty_proxy.STEPS)
def test_when_one_proxy_is_killed_the_other_continues_and_recovers_its_flushes(
    step: str, tmp_path: Path, storage: Served, sqlite_url: str, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retention, "PERIOD_SECONDS", 0.05)
    with proxying(tmp_path / "one", storage.address, trusted_store=mariadb_url, cache_bytes=0) as one:
        one.ingest("wifi", crashes.batch(0))
        shutil.copytree(tmp_path / "one", tmp_path / "other")
        shared = {"PRIVACYPLEASE_TRUSTED_STORE": mariadb_url}
        acknowledged = crashes.ingest_until_killed(step, tmp_path / "other", storage, tmp_path, **shared)
        assert devices(one) >= set(range(acknowledged + 1))
        with inspecting(one.home, mariadb_url) as inspector:
            with monkeypatch.context() as later:
                later.setattr(flush_recovery, "RECOVER_AFTER_MS", -1)  # as if a quarter of an hour had passed
                assert eventually(lambda: inspector.rows(SegmentState.SENT, SegmentState.RETIRED) == [])
            assert devices(one) >= set(range(acknowledged + 1))
            assert inspector.strays(Database(sqlite_url)) == set()
        one.ingest("wifi", *map(crashes.batch, range(1, crashes.BATCHES)))
        assert devices(one) == set(range(crashes.BATCHES))
        assert sound(one)


def test_an_unavailable_trusted_store_is_reported_and_waited_for(
    tmp_path: Path, storage: Served, mariadb: MariaDB, mariadb_url: str
) -> None:
    with proxying(tmp_path / "one", storage.address, trusted_store=mariadb_url) as proxy:
        proxy.ingest("wifi", batch(1))
        with Client(proxy.address, insecure=True, timeout=5) as client:
            asked = datetime(2024, 10, 1, 8, tzinfo=UTC), datetime(2024, 10, 1, 9, tzinfo=UTC)
            mariadb.kill()
            try:
                with pytest.raises(TrustedStoreUnavailableError) as told:
                    client.count(*asked)
            finally:
                mariadb.restart()
            assert told.value.retry_after_s == 1
            assert client.count(*asked) == 1
