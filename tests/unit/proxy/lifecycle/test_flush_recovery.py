"""An interrupted flush becomes live if all its cells are there, or is given up; a running one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from privacyplease.proxy.errors import StorageError, StorageUnavailableError
from privacyplease.proxy.lifecycle import flush_recovery
from privacyplease.proxy.lifecycle.flush_recovery import RecoveredFlushes
from privacyplease.proxy.manifest.changes import Change, moves
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import LifecycleCore, sessions

START = 1_727_740_800_000  # 2024-10-01


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No flush is too recent to be recovered."""
    monkeypatch.setattr(flush_recovery, "RECOVER_AFTER_MS", 0)


def test_a_flush_whose_cells_all_arrived_becomes_live(core: LifecycleCore, at_once: None) -> None:
    row = core.send(sessions(0, 10, START))
    core.flush_recovery.finish()
    assert [(found.number, found.state) for found in core.rows()] == [(row.number, SegmentState.LIVE)]
    assert core.devices() == set(range(10))


@pytest.mark.parametrize("cells", [0, 1])
def test_a_flush_with_missing_cells_is_given_up(
    core: LifecycleCore, storage: FakeStorage, cells: int, at_once: None
) -> None:
    tags = core.tags_of([core.send(sessions(0, 10, START), cells=cells)])
    core.flush_recovery.finish()
    assert core.rows() == []
    assert not set(tags) & set(storage.cells)
    assert core.devices() == set()


def test_a_flush_with_a_changed_cell_is_given_up(core: LifecycleCore, storage: FakeStorage, at_once: None) -> None:
    (tag, _) = core.tags_of([core.send(sessions(0, 10, START))])
    sealed = storage.cells[tag]
    storage.cells[tag] = Sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert core.flush_recovery.recover("wifi") == RecoveredFlushes(live=0, given_up=1)
    assert core.rows() == []


def test_recent_flushes_and_segments_of_compaction_are_not_recovered(
    core: LifecycleCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.send(sessions(0, 10, START), settled=True)
    core.send(sessions(10, 10, START))
    core.flush_recovery.finish()
    assert [row.state for row in core.rows()] == [SegmentState.SENT, SegmentState.SENT]
    monkeypatch.setattr(flush_recovery, "RECOVER_AFTER_MS", 0)
    core.flush_recovery.finish()
    assert [(row.settled, row.state) for row in core.rows()] == [(True, SegmentState.SENT), (False, SegmentState.LIVE)]
    assert core.flush_recovery.recover("wifi") == (0, 0)


def test_a_flush_that_ends_before_its_recovery_wins(
    core: LifecycleCore, storage: FakeStorage, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = core.send(sessions(0, 10, START), cells=0)

    def flushed(_: object) -> dict[Tag, Sealed]:
        """The flush ends while the server is being asked."""
        core.manifest.commit(Change(moved=moves([row], SegmentState.LIVE)))
        return {}

    core.rollback_check.require_newest()
    monkeypatch.setattr(storage, "select", flushed)
    core.flush_recovery.finish()
    assert [found.state for found in core.rows()] == [SegmentState.LIVE]
    assert [call.name for call in storage.calls if call.name == "delete"] == []


def test_a_flush_that_ends_after_its_recovery_fails_and_can_be_sent_again(
    core: LifecycleCore, storage: FakeStorage, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = storage.append

    def overtaken(cells: list[Cell]) -> None:
        monkeypatch.setattr(storage, "append", append)
        core.flush_recovery.finish()
        append(cells)

    monkeypatch.setattr(storage, "append", overtaken)
    with pytest.raises(StorageError, match="send the records again"):
        core.ingest(sessions(0, 10, START))
    assert core.rows() == []
    core.ingest(sessions(0, 10, START))
    assert core.devices() == set(range(10))


def test_a_crash_while_a_flush_is_given_up_brings_nothing_back(
    core: LifecycleCore, start: Callable[[], LifecycleCore], storage: FakeStorage, at_once: None
) -> None:
    core.send(sessions(0, 10, START), cells=1)
    with storage.failing("delete"), pytest.raises(StorageUnavailableError):
        core.flush_recovery.finish()
    again = start()
    assert [row.state for row in again.rows()] == [SegmentState.RETIRED]  # for garbage collection
    again.flush_recovery.finish()
    assert again.devices() == set()


def test_without_an_interrupted_flush_the_server_is_not_asked(
    core: LifecycleCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise AssertionError

    core.ingest(sessions(0, 10, START))
    monkeypatch.setattr(core.rollback_check, "require_newest", fail)
    monkeypatch.setattr(core.server, "select", fail)
    core.flush_recovery.finish()
