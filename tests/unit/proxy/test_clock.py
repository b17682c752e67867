"""A system's clock that jumps an hour: nothing irrevocable happens sooner, and nothing short takes an hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import grpc
import pytest

from privacyplease.proxy import clock
from privacyplease.proxy.compaction.garbage_collection import GarbageCollector
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.retention import Retention
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.records.dataset import Dataset, load
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.telemetry.activity import Activity
from privacyplease.transport.call_log import FinishedCall
from tests.services.fake_storage import FakeStorage
from tests.unit.proxy.compaction.in_process import WIFI, InProcess, sessions

HOUR = 3_600.0

Jump = Callable[[float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Puts the system's clock forward, or back."""
    now = time.time

    def put(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)

    return put


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_the_steady_clock_does_not_jump(seconds: float, jump: Jump) -> None:
    before = clock.steady()
    jump(seconds)
    assert 0 <= clock.steady() - before < 60
    assert clock.ahead() == pytest.approx(seconds, abs=60)
    assert clock.earliest() == pytest.approx(before + min(seconds, 0), abs=60)


def test_a_forward_jump_deletes_no_cell_that_a_running_question_may_ask_for(tmp_path: Path, jump: Jump) -> None:
    proxy = InProcess(tmp_path, FakeStorage())
    proxy.ingest(sessions(300), sessions(300, seed=2))
    assert proxy.compact()
    jump(HOUR)
    collector = GarbageCollector(proxy.manifest, cast(StorageClient, proxy.storage), proxy.cells, lambda: None)
    assert collector.collect(WIFI.name) == 0
    assert len(proxy.rows(SegmentState.RETIRED)) == 2
    proxy.stop()


class _Eraser:
    """Notes what it is asked for."""

    unfinished = 0

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.called = threading.Event()

    def finish(self) -> None:
        pass

    def ended(self, _dataset: Dataset, before: int) -> list[int]:
        self.asked.append(before)
        self.called.set()
        return []


def test_a_forward_jump_while_the_proxy_runs_erases_nothing_early(jump: Jump, caplog: pytest.LogCaptureFixture) -> None:
    eraser, retain = _Eraser(), 60_000
    now = time.time() * 1_000
    jump(HOUR)
    retention = Retention({"wifi": replace(load()["wifi"], retain=retain)}, cast(EpochEraser, eraser))
    retention.start()
    assert eraser.called.wait(20)
    retention.stop()
    assert eraser.asked[0] == pytest.approx(now - retain, abs=60_000)
    assert "the system's clock has gone forward by 3600 s" in caplog.text


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_recent_activity_is_that_of_five_minutes_though_the_clock_jumps(seconds: float, jump: Jump) -> None:
    activity = Activity()
    call = FinishedCall("PresenceService/FindSessions", "alice", grpc.StatusCode.OK, "", "", 0.1, False, 0, 0)
    activity.called(call)
    jump(seconds)
    activity.called(call)
    (recent,) = activity.calls()
    assert recent.calls == 2
    assert recent.per_second > 0.1
