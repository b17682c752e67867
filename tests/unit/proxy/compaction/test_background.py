"""Background compaction: it does what is due, continues after a failure, and reports both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privacyplease.proxy.compaction.background import BackgroundCompaction, Round
from privacyplease.proxy.compaction.compactor import Backlog
from privacyplease.proxy.errors import StorageUnavailableError
from tests.services.polling import eventually
from tests.unit.proxy.compaction.in_process import WIFI, InProcess, sessions


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackgroundCompaction, "PERIOD_SECONDS", 0.01)


def test_the_background_thread_compacts_what_is_due(proxy: InProcess) -> None:
    proxy.ingest(sessions(100), sessions(100, seed=2))
    before = proxy.answers()
    compactor = BackgroundCompaction({WIFI.name: WIFI}, proxy.compactor)
    assert compactor.last == Round(None, "")
    compactor.start()
    assert eventually(lambda: compactor.last.at is not None, 10)
    assert compactor.backlog() == {WIFI.name: Backlog(2, 200)}
    proxy.clock.ahead = 86_401
    assert eventually(lambda: compactor.backlog() == {WIFI.name: Backlog(0, 0)}, 10)
    proxy.clock.ahead *= 2
    assert eventually(lambda: proxy.stored() == proxy.tags(), 10)
    compactor.stop()
    assert compactor.last.failure == ""
    assert proxy.answers() == before


def test_the_background_thread_continues_after_a_failure(proxy: InProcess) -> None:
    bikes = replace(WIFI, name="others")
    for dataset in (WIFI, bikes):
        proxy.ingest(sessions(100), sessions(100, seed=2), dataset=dataset)
    proxy.clock.ahead = 86_401
    failures = iter([StorageUnavailableError("the storage server cannot be reached"), ValueError("a secret")])

    def fail(_: str) -> None:
        if error := next(failures, None):
            raise error

    proxy.storage.before = fail
    compactor = BackgroundCompaction({WIFI.name: WIFI, bikes.name: bikes}, proxy.compactor)
    compactor.start()
    assert eventually(lambda: compactor.last.failure == "ERROR_REASON_STORAGE_UNAVAILABLE", 10) or compactor.last.at
    assert eventually(lambda: set(compactor.backlog().values()) == {Backlog(0, 0)}, 10)
    assert eventually(lambda: compactor.last.failure == "", 10)
    compactor.stop()
