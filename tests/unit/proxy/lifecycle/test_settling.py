"""A flush whose outcome nobody knows is live if all of it is there, and given up else; a running one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from privacyplease.proxy.errors import StorageError, StorageUnavailableError
from privacyplease.proxy.lifecycle import settling
from privacyplease.proxy.lifecycle.settling import Settled
from privacyplease.proxy.manifest.changes import Change, moves
from privacyplease.proxy.manifest.rows import State
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import ProxyCore, sessions

START = 1_727_740_800_000  # 2024-10-01


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too recent."""
    monkeypatch.setattr(settling, "SETTLED_AFTER", 0)


def test_what_is_there_is_live(core: ProxyCore, at_once: None) -> None:
    row = core.send(sessions(0, 10, START))
    core.settling.finish()
    assert [(found.number, found.state) for found in core.rows()] == [(row.number, State.LIVE)]
    assert core.devices() == set(range(10))


@pytest.mark.parametrize("cells", [0, 1])
def test_what_is_not_there_is_given_up(core: ProxyCore, storage: FakeStorage, cells: int, at_once: None) -> None:
    tags = core.tags_of([core.send(sessions(0, 10, START), cells=cells)])
    core.settling.finish()
    assert core.rows() == []
    assert not set(tags) & set(storage.cells)
    assert core.devices() == set()


def test_what_was_changed_is_given_up(core: ProxyCore, storage: FakeStorage, at_once: None) -> None:
    (tag, _) = core.tags_of([core.send(sessions(0, 10, START))])
    sealed = storage.cells[tag]
    storage.cells[tag] = Sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert core.settling.settle("wifi") == Settled(live=0, given_up=1)
    assert core.rows() == []


def test_what_is_recent_and_what_compaction_sent_is_left_alone(
    core: ProxyCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.send(sessions(0, 10, START), settled=True)
    core.send(sessions(10, 10, START))
    core.settling.finish()
    assert [row.state for row in core.rows()] == [State.SENT, State.SENT]
    monkeypatch.setattr(settling, "SETTLED_AFTER", 0)
    core.settling.finish()
    assert [(row.settled, row.state) for row in core.rows()] == [(True, State.SENT), (False, State.LIVE)]
    assert core.settling.settle("wifi") == (0, 0)


def test_a_flush_that_comes_first_wins(
    core: ProxyCore, storage: FakeStorage, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = core.send(sessions(0, 10, START), cells=0)

    def flushed(_: object) -> dict[Tag, Sealed]:
        """While the server is asked, the flush ends."""
        core.manifest.commit(Change(moved=moves([row], State.LIVE)))
        return {}

    core.currency.require()
    monkeypatch.setattr(storage, "select", flushed)
    core.settling.finish()
    assert [found.state for found in core.rows()] == [State.LIVE]
    assert [call.name for call in storage.calls if call.name == "delete"] == []


def test_a_flush_that_comes_second_fails_and_is_sent_again(
    core: ProxyCore, storage: FakeStorage, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = storage.append

    def overtaken(cells: list[Cell]) -> None:
        monkeypatch.setattr(storage, "append", append)
        core.settling.finish()
        append(cells)

    monkeypatch.setattr(storage, "append", overtaken)
    with pytest.raises(StorageError, match="send the records again"):
        core.ingest(sessions(0, 10, START))
    assert core.rows() == []
    core.ingest(sessions(0, 10, START))
    assert core.devices() == set(range(10))


def test_a_crash_while_it_is_given_up_brings_nothing_back(
    core: ProxyCore, start: Callable[[], ProxyCore], storage: FakeStorage, at_once: None
) -> None:
    core.send(sessions(0, 10, START), cells=1)
    with storage.failing("delete"), pytest.raises(StorageUnavailableError):
        core.settling.finish()
    again = start()
    assert [row.state for row in again.rows()] == [State.RETIRED]  # for compaction to collect
    again.settling.finish()
    assert again.devices() == set()


def test_a_home_without_such_a_flush_asks_nobody(core: ProxyCore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise AssertionError

    core.ingest(sessions(0, 10, START))
    monkeypatch.setattr(core.currency, "require", fail)
    monkeypatch.setattr(core.server, "select", fail)
    core.settling.finish()
