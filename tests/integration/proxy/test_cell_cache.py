"""The cell cache: cells that were written or read are not fetched again, and answers do not depend on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.v1 import (
    admin_service_pb2,
    explain_service_pb2,
    explain_service_pb2_grpc,
    keys_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
)
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import Served, serving

START = 1_727_740_800_000  # 2024-10-01T00:00:00Z
HOUR, DAY = 3_600_000, 86_400_000
ALL = interval(START, START + 30 * DAY)
BATCHES = 6


class Calls:
    """Records the tags of each call to the storage server."""

    def __init__(self) -> None:
        self._tags: list[Sequence[bytes]] = []
        self._lock = threading.Lock()

    def note(self, tags: Sequence[bytes]) -> None:
        with self._lock:
            self._tags.append(list(tags))

    def taken(self) -> list[Sequence[bytes]]:
        """The tags since the last look."""
        with self._lock:
            taken, self._tags = self._tags, []
        return taken


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    seen, send = Calls(), StorageClient.select_unchecked

    def noted(storage: StorageClient, tags: Sequence[Any]) -> Any:
        seen.note(tags)
        return send(storage, tags)

    monkeypatch.setattr(StorageClient, "select_unchecked", noted)
    return seen


def sessions(seed: int) -> pa.Table:
    """A hundred sessions of twenty devices at five places during the numbered day."""
    random = np.random.default_rng(seed)
    devices = random.integers(0, 20, 100)
    return pa.table(
        {
            "client_mac": pa.array(0x020000000000 + devices, pa.int64()),
            "ap_name": [f"ap-{number}" for number in random.integers(0, 5, 100)],
            "association_time": pa.array(START + seed * DAY + random.integers(0, DAY, 100), pa.timestamp("ms", "UTC")),
            "session_duration": pa.array(random.integers(0, 2 * HOUR, 100), pa.duration("ms")),
            "device_name": [f"device {number}" for number in devices],
        }
    )


class CachedAnswers(NamedTuple):
    """The answers to one question of each kind."""

    devices: int
    sessions: list[tuple[str, int, int]]
    records: list[dict[str, object]]


def answers(proxy: Proxied) -> CachedAnswers:
    return CachedAnswers(count(proxy), presence(proxy), proxy.records("wifi", START, START + 30 * DAY).to_pylist())


def count(proxy: Proxied, days: int = 30) -> int:
    when = interval(START, START + days * DAY - 1)
    return proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=when)).distinct_devices


def presence(proxy: Proxied, device: str = "02:00:00:00:00:07") -> list[tuple[str, int, int]]:
    request = presence_service_pb2.FindSessionsRequest(device=device, interval=ALL, purpose="test")
    return [
        session
        for page in proxy.presence.FindSessions(request)
        for session in zip(page.sessions.places, page.sessions.starts_unix_ms, page.sessions.ends_unix_ms, strict=True)
    ]


def cache(proxy: Proxied) -> admin_service_pb2.Cache:
    return proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).cache


@pytest.fixture
def home(tmp_path: Path, storage: Served) -> Path:
    """The home of a stopped proxy that has stored some batches, each as one segment."""
    with proxying(tmp_path / "home", storage.address) as proxy:
        for seed in range(BATCHES):
            (answer,) = proxy.ingest("wifi", sessions(seed))
            assert answer.accepted == 100
    return tmp_path / "home"


@pytest.fixture
def started(home: Path, storage: Served) -> Iterator[Proxied]:
    """A new proxy over that home, with an empty cache."""
    with proxying(home, storage.address) as proxy:
        yield proxy


def test_a_repeated_question_fetches_nothing_again(started: Proxied, calls: Calls) -> None:
    first = count(started)
    assert [len(tags) for tags in calls.taken()] == [BATCHES]
    assert count(started) == first
    assert presence(started) != []
    assert calls.taken() == []
    assert (cache(started).misses, cache(started).hits) == (BATCHES, 2 * BATCHES)


def test_only_cells_that_are_not_cached_are_fetched(started: Proxied, calls: Calls) -> None:
    count(started, days=2)
    ((*first,),) = calls.taken()
    count(started)
    ((*second,),) = calls.taken()
    assert not set(first) & set(second)
    assert len(first) + len(second) == BATCHES


def test_records_just_written_are_answered_without_the_server(tmp_path: Path, sqlite_url: str, calls: Calls) -> None:
    with serving(sqlite_url) as storage:
        proxying_it = proxying(tmp_path / "home", storage.address)
        proxy = proxying_it.__enter__()
        proxy.ingest("wifi", sessions(0))
        calls.taken()
    try:
        assert count(proxy) == len(set(sessions(0)["client_mac"].to_pylist()))
        assert calls.taken() == []
    finally:
        proxying_it.__exit__(None, None, None)


def test_cached_answers_include_new_records(started: Proxied, home: Path, storage: Served) -> None:
    answers(started)
    for seed in range(BATCHES, BATCHES + 2):
        before = answers(started)
        started.ingest("wifi", sessions(seed))
        assert len(answers(started).records) == len(before.records) + 100
    with proxying(home, storage.address, cache_bytes=0) as without:
        assert answers(started) == answers(without)


def test_a_longer_form_of_a_record_replaces_the_cached_one(started: Proxied) -> None:
    (place, start, end), *_ = presence(started)
    longer = {
        "client_mac": "02:00:00:00:00:07",
        "ap_name": place,
        "association_time": pa.scalar(start, pa.timestamp("ms", "UTC")).as_py(),
        "session_duration": str((end + HOUR - start) / 1_000),
    }
    started.ingest("wifi", [longer])
    assert (place, start, end + HOUR) in presence(started)
    assert (place, start, end) not in presence(started)


@pytest.mark.parametrize("room", [0, 1, BATCHES - 1, BATCHES], ids=["none", "for one", "for all but one", "for all"])
def test_answers_do_not_depend_on_the_size_of_the_cache(
    started: Proxied, home: Path, storage: Served, calls: Calls, room: int
) -> None:
    expected = answers(started)
    size = cache(started).bytes // BATCHES
    with proxying(home, storage.address, cache_bytes=room * size) as little:
        for days in range(1, 31):
            count(little, days)
        assert answers(little) == expected
        assert cache(little).bytes <= room * size
        calls.taken()
        assert count(little) == expected.devices
        assert bool(calls.taken()) == (room < BATCHES)


def test_a_destroyed_period_is_not_answered_from_the_cache(started: Proxied) -> None:
    assert answers(started).devices > 0
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", before=instant(START + 90 * DAY))
    assert started.keys.DestroyEpochs(request).epochs
    assert answers(started) == CachedAnswers(0, [], [])
    assert cache(started).bytes == 0


def test_an_explanation_is_given_as_if_nothing_were_cached(started: Proxied, calls: Calls) -> None:
    count(started)
    calls.taken()
    explained = explain_service_pb2_grpc.ExplainServiceStub(started.channel).Explain(
        explain_service_pb2.ExplainRequest(interval=ALL)
    )
    ((*tags,),) = calls.taken()
    assert sorted(explained.first_tags) == sorted(tags)
    assert len(tags) == BATCHES
