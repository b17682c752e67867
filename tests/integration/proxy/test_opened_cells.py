"""Compacted periods are opened once: afterwards the storage server is not asked for them, and answers stay the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from privacyplease.proxy import journal
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.v1 import keys_service_pb2, keys_service_pb2_grpc
from tests.integration.proxy.test_compaction import DAY, START, sessions
from tests.services.proxy import Proxied, instant

END = START + 30 * DAY


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT_SECONDS", -1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many tags each question to the storage server was about."""
    seen: list[int] = []
    lock, send = threading.Lock(), Storage.as_sent

    def counted(storage: Storage, tags: Sequence[bytes]) -> Any:
        with lock:
            seen.append(len(tags))
        return send(storage, tags)

    monkeypatch.setattr(Storage, "as_sent", counted)
    return seen


def answers(proxy: Proxied) -> list[list[dict[str, object]]]:
    found = [proxy.records("wifi", index, START, END) for index in ("subject", "place")]
    return [table.sort_by([(name, "ascending") for name in sorted(table.column_names)]).to_pylist() for table in found]


@pytest.fixture
def compacted(proxy: Proxied) -> Proxied:
    proxy.ingest("wifi", sessions(500), sessions(300, seed=2, start=START + 2 * DAY))
    proxy.compact(include_open=True)
    return proxy


def test_what_was_opened_is_not_asked_for_again(compacted: Proxied, asked: list[int]) -> None:
    first = answers(compacted)
    assert sum(asked) > 0
    asked.clear()
    assert answers(compacted) == first
    assert sum(asked) == 0


def test_late_records_are_found_beside_it(compacted: Proxied, asked: list[int]) -> None:
    before = compacted.records("wifi", "subject", START, END)
    compacted.ingest("wifi", sessions(1, seed=3, devices=1 << 40))
    asked.clear()
    assert len(compacted.records("wifi", "subject", START, END)) == len(before) + 1
    assert 0 < sum(asked) <= 8
    compacted.compact(include_open=True)
    assert answers(compacted) == answers(compacted)


def test_a_destroyed_period_is_not_answered_from_memory(compacted: Proxied, asked: list[int]) -> None:
    answers(compacted)
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", before=instant(END + 60 * DAY))
    keys_service_pb2_grpc.KeysServiceStub(compacted.channel).DestroyEpochs(request)
    assert answers(compacted) == [[], []]
