"""A compactor interrupted at any step loses nothing and accuses nobody; the next one cleans up after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.trusted_store.tables import claims
from tests.services.effort import tries
from tests.unit.proxy.compaction.in_process import DAY, START, InProcess, sessions

pytestmark = pytest.mark.slow


class _CutShortError(Exception):
    """As if the process had been killed."""


class _Steps:
    """Counts what a compactor does to the trusted store and the server, and interrupts it after some steps."""

    def __init__(self, proxy: InProcess, most: int = 1_000) -> None:
        self.taken = 0
        self._most = most
        for owner, names in ((proxy.manifest, ("commit", "numbers")), (proxy.storage, ("append", "select", "delete"))):
            for name in names:
                setattr(owner, name, self._step(getattr(owner, name)))

    def _step(self, whole: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            if self.taken == self._most:
                raise _CutShortError
            self.taken += 1
            return whole(*given, **named)

        return step


def filled(folder: Path) -> InProcess:
    """A proxy with a settled segment and fresh ones, in two epochs."""
    proxy = InProcess(folder)
    proxy.ingest(sessions(200))
    proxy.compact()
    proxy.ingest(sessions(200, seed=2), sessions(100, seed=3), sessions(50, start=START + 40 * DAY))
    return proxy


def compacted(proxy: InProcess) -> None:
    proxy.compact()
    proxy.collect()


def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many steps there are."""
    proxy = filled(tmp_path_factory.mktemp("whole"))
    counted = _Steps(proxy)
    compacted(proxy)
    proxy.stop()
    return counted.taken


def test_a_crash_loses_nothing_and_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    number = steps(tmp_path_factory)
    assert number > 15
    for step in range(0, number, tries(3, 1)):
        proxy = filled(tmp_path_factory.mktemp("home"))
        before = proxy.found()
        _Steps(proxy, step)
        with pytest.raises(_CutShortError):
            compacted(proxy)
        proxy.stop()
        mended_by_the_next(proxy, before)


def mended_by_the_next(proxy: InProcess, before: list[dict[str, object]]) -> None:
    for name in ("append", "select", "delete"):
        proxy.storage.__dict__.pop(name)
    following = proxy.again()
    assert following.found() == before
    following.compact()
    assert following.found() == before
    following.collect()
    assert following.found() == before
    assert following.rows(SegmentState.SENT, SegmentState.STORED, SegmentState.RETIRED) == []
    assert following.stored() == following.tags(SegmentState.LIVE)
    assert len(following.rows()) == 4
    with following.store.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(claims)) == 0
    following.stop()
