"""With `cover`, what the storage server sees of arrivals does not depend on whether records come, or on how many."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.leakage.worlds import WIFI, a_crowd, arrival, one_person, seen, tables, world
from tests.services.core import Core
from tests.services.fake_storage import RecordedCall

COVERED = replace(WIFI, cover=50, cover_records=64)
FLUSHES = 6


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    with world(tmp_path / "home", monkeypatch) as made:
        made.writer.cover([COVERED])
        yield made


def flushed(core: Core, *records: pa.Table) -> list[RecordedCall]:
    """The calls that bring records, of which `FLUSHES` at least were made since some records were stored."""
    for table in records:
        core.ingest(table, COVERED)
    calls: list[RecordedCall] = []
    while len(calls) < FLUSHES:
        time.sleep(0.05)
        calls += [call for call in seen(core) if call.name == "append"]
    return calls


def test_how_many_records_come_shows_nowhere(core: Core) -> None:
    """None, a few, as many as fit, and more, which wait for the next flush."""
    few, fitting, many = (tables(arrival(seed=7, batches=3, records=records), a_crowd) for records in (2, 64, 200))
    same = tables(arrival(seed=7, batches=3, records=64), one_person)
    calls = [call for of in (iter(()), few, fitting, same, many) for call in flushed(core, *of)]
    assert len({tuple(sorted(call.sizes)) for call in calls}) == 1


def test_without_it_that_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    with world(tmp_path / "home", monkeypatch) as core:
        for records in (2, 2_000):
            for table in tables(arrival(seed=7, batches=1, records=records), a_crowd):
                core.ingest(table, WIFI)
        assert len({tuple(sorted(call.sizes)) for call in seen(core) if call.name == "append"}) == 2
