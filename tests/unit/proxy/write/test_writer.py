"""Writing: acknowledged records are live, failed ones are not found, and cover sends at a fixed rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest

from privacyplease.proxy.errors import StorageUnavailableError
from privacyplease.proxy.manifest.head import HEAD_BYTES
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.tables import check
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.write import buffer
from privacyplease.proxy.write.buffer import Buffer, by_epoch
from tests.services.fake_storage import RecordedCall
from tests.services.polling import eventually
from tests.services.read_write_core import ReadWriteCore, core

WIFI = dataset.load()["wifi"]
DAY = 86_400_000


def table(*starts: int, who: int = 1) -> pa.Table:
    return pa.table(
        {
            WIFI.subject: pa.array([who] * len(starts), pa.int64()),
            WIFI.place: ["ap"] * len(starts),
            WIFI.start: pa.array(starts, pa.int64()).cast(pa.timestamp("ms", "UTC")),
            WIFI.duration: pa.array([0] * len(starts), pa.int64()).cast(pa.duration("ms")),
        }
    )


@pytest.fixture
def made(tmp_path: Path) -> Iterator[ReadWriteCore]:
    with core(tmp_path) as running:
        yield running


def appends(core: ReadWriteCore) -> list[RecordedCall]:
    return [call for call in core.server.calls if call.name == "append"]


def test_a_flush_is_one_call_with_two_cells_per_epoch_and_a_head(made: ReadWriteCore) -> None:
    made.ingest(table(DAY, 31 * DAY, 2 * DAY), WIFI)
    (call,) = appends(made)
    assert len(call.sizes) == 5
    assert call.sizes.count(HEAD_BYTES) == 1
    assert list(call.tags) == sorted(call.tags)  # values of a PRF: a random order
    assert [row.summary.records for row in made.manifest.rows("wifi", SegmentState.LIVE)] == [2, 1]


def test_waiting_batches_are_flushed_together(made: ReadWriteCore, monkeypatch: pytest.MonkeyPatch) -> None:
    made.writer._flush_seconds = 60.0
    made.ingest(table(DAY), WIFI)  # after a pause the first batch does not wait
    waiting = [made.writer.submit(check(table(DAY + more), WIFI).records, WIFI) for more in range(buffer.FLUSH_BATCHES)]
    for pending in waiting:
        pending.wait()
    assert len(appends(made)) == 2


def test_waiting_batches_are_flushed_soon_on_request(made: ReadWriteCore) -> None:
    made.writer._flush_seconds = 600.0
    made.ingest(table(DAY), WIFI)
    waiting = made.writer.submit(check(table(2 * DAY), WIFI).records, WIFI)
    made.writer.flush_soon(WIFI)
    waiting.wait()


def test_a_batch_that_could_not_be_stored_is_reported_and_not_found(made: ReadWriteCore) -> None:
    with made.server.failing("append"), pytest.raises(StorageUnavailableError):
        made.ingest(table(DAY), WIFI)
    assert [row.state for row in made.manifest.rows("wifi")] == [SegmentState.SENT]
    assert len(made.ask(Question(WIFI, EVER))) == 0
    made.ingest(table(DAY), WIFI)
    assert len(made.ask(Question(WIFI, EVER))) == 1


def test_the_last_minutes_are_answered_without_asking_the_server(tmp_path: Path) -> None:
    with core(tmp_path, cache_bytes=1 << 20) as made:
        made.ingest(table(DAY, DAY + 1), WIFI)
        made.server.calls.clear()
        assert len(made.ask(Question(WIFI, EVER))) == 2
        assert made.server.calls == []


def test_old_heads_are_deleted_from_the_server(made: ReadWriteCore) -> None:
    for number in range(130):
        made.ingest(table(DAY + number), WIFI)
    heads = [sealed for sealed in made.server.cells.values() if len(sealed) == HEAD_BYTES]
    assert len(heads) < 40


def test_draining_waits_for_what_was_submitted_before(made: ReadWriteCore) -> None:
    pending = made.writer.submit(check(table(DAY), WIFI).records, WIFI)
    made.writer.drain()
    assert pending.ended


def test_a_batch_that_grows_too_large_becomes_several_segments(
    made: ReadWriteCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privacyplease.proxy.write.writer.FLUSH_BYTES", 1_000)
    made.ingest(table(*range(DAY, DAY + 64)), WIFI)
    rows = made.manifest.rows("wifi", SegmentState.LIVE)
    assert len(rows) > 1
    assert sum(row.summary.records for row in rows) == len(made.ask(Question(WIFI, EVER))) == 64


def test_cover_sends_one_size_with_or_without_records(made: ReadWriteCore) -> None:
    covered = replace(WIFI, cover=20, cover_records=8)
    made.writer.cover([covered])
    assert eventually(lambda: len(appends(made)) >= 3, 20)
    pending = made.writer.submit(check(table(*range(DAY, DAY + 20)), covered).records, covered)
    pending.wait()
    assert eventually(lambda: made.manifest.size()[SegmentState.SENT] == 0, 20)
    assert len({tuple(sorted(call.sizes)) for call in appends(made)}) == 1
    counted = [row.summary.records for row in made.manifest.rows("wifi") if row.summary.records]
    assert counted == [8, 8, 4]
    assert len(made.ask(Question(covered, EVER))) == 20


def test_with_cover_a_flush_is_of_one_epoch() -> None:
    covered = Buffer(replace(WIFI, cover=1_000, cover_records=8))
    covered.add(check(table(DAY, 31 * DAY, 2 * DAY), WIFI).records)
    taken = [[len(part.records) for part in covered.take()] for _ in range(3)]
    assert taken == [[2], [1], []]


def test_records_are_split_by_epoch() -> None:
    parted = by_epoch(check(table(31 * DAY, DAY, 30 * DAY), WIFI).records, WIFI)
    assert {epoch: len(part) for epoch, part in parted.items()} == {0: 1, 1: 2}


def test_a_flush_that_gets_no_thread_fails_and_the_next_one_is_stored(
    made: ReadWriteCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(made.writer._flushes, "submit", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        with pytest.raises(MemoryError):
            made.writer.submit(table(DAY), WIFI).wait()
    made.ingest(table(DAY, who=2), WIFI)
    assert [row.summary.records for row in made.manifest.rows("wifi", SegmentState.LIVE)] == [1]
