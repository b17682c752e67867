"""An erased epoch: nothing finds or opens it, its cells are gone, and it stays erased."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import select

from privacyplease.proxy.errors import (
    KeyUnavailableError,
    MasterKeyRefusedError,
    RolledBackError,
    StorageError,
)
from privacyplease.proxy.keys.dead_letters import DeadLetters, letters_of
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.epoch_key_files import EpochKeyFiles
from privacyplease.proxy.keys.epoch_keys import EpochKeys
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.erasure_log import ERASED, Cause, ErasureLog
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.manifest.witnesses import FileWitness
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.tables import data_keys
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import DAY, LifecycleCore, sessions
from tests.services.read_write_core import MASTER
from tests.services.simulated_crash import crashing

EPOCH = 665
WIDTH = 30 * DAY
FIRST = EPOCH * WIDTH  # 2024-08-14
SECOND = FIRST + WIDTH
EARLIER, LATER = set(range(20)), set(range(20, 40))


@pytest.fixture
def filled(core: LifecycleCore) -> LifecycleCore:
    """Two epochs with data, of a common flush and of separate ones, some of it compacted."""
    core.ingest(pa.concat_tables([sessions(0, 10, FIRST), sessions(20, 10, SECOND)]))
    core.compact()
    core.ingest(sessions(10, 10, FIRST + 20 * DAY))
    core.ingest(sessions(30, 10, SECOND + DAY))
    return core


def wrapped_keys(core: LifecycleCore) -> list[bytes]:
    with core.store.connect() as connection:
        chosen = select(data_keys.c.wrapped).where(data_keys.c.dataset == "wifi").order_by(data_keys.c.epoch)
        return [bytes(wrapped) for wrapped in connection.scalars(chosen)]


def bytes_of_the_store(core: LifecycleCore) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(core.home.path.glob("trusted.db*")))


def of_epoch(core: LifecycleCore, epoch: int = EPOCH) -> list[SegmentState]:
    return [row.state for row in core.rows() if row.key.epoch == epoch]


def require_erased(core: LifecycleCore) -> None:
    """Everything that must hold once the first epoch is erased."""
    (erasure,) = core.erasure_log.of("wifi")
    assert erasure.key.epoch == EPOCH
    assert erasure.erased_at is not None
    assert core.erasure_log.unfinished() == []
    assert of_epoch(core) == []
    assert core.keyring.epochs("wifi") == [EPOCH + 1]
    assert core.devices() == LATER
    segments = core.tags_of(core.rows())
    heads = set(core.manifest.heads.tags(range(1, core.manifest.head().sequence + 1)))
    listed = set(core.destroyed_keys.tags([1]))
    assert set(core.server.cells) - heads == set(segments) | listed
    assert not core.rollback_check.newest_elsewhere() or core.rollback_check.newest_elsewhere() == core.manifest.head()


def test_erased_records_are_not_found_and_all_others_are(filled: LifecycleCore) -> None:
    cells = sum(len(row.groups) for row in filled.rows() if row.key.epoch == EPOCH)
    assert filled.devices() == EARLIER | LATER
    assert filled.eraser.erase(filled.wifi, [EPOCH]) == cells == 6
    require_erased(filled)
    assert filled.eraser.erase(filled.wifi, [EPOCH + 1]) == 6
    assert (filled.devices(), filled.keyring.epochs("wifi"), filled.rows()) == (set(), [], [])
    assert [erasure.key.epoch for erasure in filled.erasure_log.of("wifi")] == [EPOCH, EPOCH + 1]


def test_no_byte_of_an_erased_key_is_left_in_the_trusted_store(filled: LifecycleCore) -> None:
    doomed, kept = wrapped_keys(filled)
    assert doomed in bytes_of_the_store(filled)
    filled.eraser.erase(filled.wifi, [EPOCH])
    left = bytes_of_the_store(filled)
    assert wrapped_keys(filled) == [kept]
    assert not any(doomed[at : at + 8] in left for at in range(len(doomed) - 8))
    assert kept in left


def test_a_key_is_not_called_destroyed_while_a_reader_keeps_it_in_the_stores_files(filled: LifecycleCore) -> None:
    doomed, _ = wrapped_keys(filled)
    reader = sqlite3.connect(filled.home.trusted_store, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM data_keys").fetchone()  # from now on it sees this state
    filled.eraser.erase(filled.wifi, [EPOCH])
    assert doomed in bytes_of_the_store(filled)
    assert [erasure.erased_at for erasure in filled.erasure_log.of("wifi")] == [None]
    assert [obstacle.cause for _, obstacle in filled.eraser.waiting] == [Cause.READER]
    assert filled.devices() == LATER  # out of reach all the same
    filled.eraser.finish()
    assert filled.eraser.unfinished == 1
    reader.close()
    filled.eraser.finish()
    assert doomed not in bytes_of_the_store(filled)
    require_erased(filled)


def test_a_copy_of_the_store_from_before_opens_nothing_of_an_erased_epoch(
    filled: LifecycleCore, tmp_path: Path
) -> None:
    with (
        closing(sqlite3.connect(filled.home.trusted_store)) as store,
        closing(sqlite3.connect(tmp_path / "old")) as copy,
    ):
        store.backup(copy)
    old = trusted_store.open_store(tmp_path / "old")
    thief = partial(Keyring, old, MASTER, epoch_keys=EpochKeys(old, EpochKeyFiles(filled.home.epoch_keys)))
    assert thief().group_keys("wifi", KeyId(EPOCH), "core") == filled.keyring.group_keys("wifi", KeyId(EPOCH), "core")
    filled.eraser.erase(filled.wifi, [EPOCH])
    with pytest.raises(KeyUnavailableError):
        thief().group_keys("wifi", KeyId(EPOCH), "core")
    assert thief().group_keys("wifi", KeyId(EPOCH + 1), "core")


def test_a_writer_to_the_trusted_store_can_hide_a_key_from_its_erasure(filled: LifecycleCore, tmp_path: Path) -> None:
    """What is not detected, as docs/THREAT_MODEL.md says: nobody knows any more which file to destroy."""
    with (
        closing(sqlite3.connect(filled.home.trusted_store)) as store,
        closing(sqlite3.connect(tmp_path / "old")) as copy,
    ):
        store.backup(copy)
        store.execute("DELETE FROM epoch_keys WHERE epoch = ?", (EPOCH,))
        store.commit()
    filled.eraser.erase(filled.wifi, [EPOCH])
    assert filled.erasure_log.of("wifi")[0].erased_at is not None
    old = trusted_store.open_store(tmp_path / "old")
    thief = Keyring(old, MASTER, epoch_keys=EpochKeys(old, EpochKeyFiles(filled.home.epoch_keys)))
    assert thief.group_keys("wifi", KeyId(EPOCH), "core")


def test_a_key_is_not_called_destroyed_while_its_holder_refuses(
    filled: LifecycleCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str) -> None:
        raise MasterKeyRefusedError("the holder refuses to destroy it")

    with monkeypatch.context() as refusing:
        refusing.setattr(filled.epoch_keys.holder, "destroy", refuse)
        filled.eraser.erase(filled.wifi, [EPOCH])
        filled.eraser.finish()
    assert [erasure.erased_at for erasure in filled.erasure_log.of("wifi")] == [None]
    assert filled.erasure_log.obstacle("wifi", KeyId(EPOCH)) == (Cause.HOLDER, "the holder refuses to destroy it")
    assert filled.devices() == LATER
    filled.eraser.finish()
    assert filled.eraser.waiting == []
    require_erased(filled)


def test_no_cell_of_an_erased_epoch_is_left_in_the_cache(filled: LifecycleCore) -> None:
    filled.devices()
    before = filled.cache.figures.bytes
    filled.eraser.erase(filled.wifi, [EPOCH])
    assert 0 < filled.cache.figures.bytes < before
    with pytest.raises(KeyUnavailableError):
        filled.keyring.digest_key("wifi", KeyId(EPOCH))


def test_records_of_an_erased_epoch_are_rejected_with_a_reason_and_the_others_are_stored(filled: LifecycleCore) -> None:
    filled.eraser.erase(filled.wifi, [EPOCH])
    nobody = sessions(99, 1, SECOND).set_column(0, "client_mac", pa.array([None], pa.int64()))
    late, good = sessions(50, 1, FIRST + DAY), sessions(51, 1, SECOND + 2 * DAY)
    checked = filled.ingest(pa.concat_tables([good, late, nobody, late]))
    assert [(row, field, reason) for row, field, reason in checked.rejections if row != 2] == [
        (1, "association_time", ERASED),
        (3, "association_time", ERASED),
    ]
    assert filled.devices() == LATER | {51}
    assert len(wrapped_keys(filled)) == 1


def test_an_epoch_stays_erased_after_a_restart(filled: LifecycleCore, start: Callable[[], LifecycleCore]) -> None:
    filled.eraser.erase(filled.wifi, [EPOCH])
    again = start()
    assert len(again.ingest(sessions(50, 1, FIRST)).records) == 0
    require_erased(again)


def test_dead_letters_of_an_erased_period_cannot_be_opened(filled: LifecycleCore) -> None:
    letters = DeadLetters(filled.keyring)
    (old,), (new,) = (letters.seal([b"x"], "wifi", epoch) for epoch in (EPOCH, EPOCH + 1))
    (alone,) = letters.seal([b"x"], "wifi", EPOCH - 1)
    assert filled.eraser.ended(filled.wifi, SECOND) == [EPOCH - 1, EPOCH]
    filled.eraser.erase(filled.wifi, [EPOCH - 1, EPOCH])
    assert [letters.open(letter, "wifi") for letter in (alone, old, new)] == [None, None, b"x"]
    assert filled.keyring.epochs(letters_of("wifi")) == [EPOCH + 1]


def test_with_an_unavailable_server_the_epoch_is_out_of_reach_and_the_next_start_finishes(
    filled: LifecycleCore, start: Callable[[], LifecycleCore], storage: FakeStorage
) -> None:
    with storage.failing("delete"), pytest.raises(StorageError):
        filled.eraser.erase(filled.wifi, [EPOCH])
    assert (filled.devices(), len(filled.ingest(sessions(50, 1, FIRST)).records)) == (LATER, 0)
    assert [erasure.erased_at for erasure in filled.erasure_log.of("wifi")] == [None]
    again = start()
    assert again.devices() == LATER
    again.eraser.finish()
    require_erased(again)


def test_an_epoch_is_out_of_reach_even_if_the_server_could_not_be_asked_for_its_head(
    filled: LifecycleCore, start: Callable[[], LifecycleCore], storage: FakeStorage
) -> None:
    again = start()
    with storage.failing("select"), storage.failing("delete"), pytest.raises(StorageError):
        again.eraser.erase(again.wifi, [EPOCH])
    assert again.devices() == LATER


STEPS = {
    "while waiting for admitted batches": ("eraser", "_drain", 0),
    "before it is recorded": ("manifest", "commit", 0),
    "before waiting for readers": ("eraser", "_wait_for_readers", 0),
    "before the cells are deleted": ("server", "delete", 0),
    "before the rows are removed": ("manifest", "commit", 1),
    "before the head is newer": ("manifest", "commit", 2),
    "before the head is published": ("server", "append", 0),
    "before the key is destroyed": ("erasure_log", "shred", 0),
    "before the cache drops the cells": ("cache", "forget", 0),
}


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_that_crashed_at_any_step_is_finished(
    step: str, filled: LifecycleCore, start: Callable[[], LifecycleCore]
) -> None:
    owner, method, after = STEPS[step]
    with crashing(getattr(filled, owner), method, after=after):
        filled.eraser.erase(filled.wifi, [EPOCH])
    again = start()
    assert again.devices() == (LATER if again.erasure_log.of("wifi") else EARLIER | LATER)
    again.eraser.finish()
    if not again.erasure_log.of("wifi"):
        again.eraser.erase(again.wifi, [EPOCH])
    require_erased(again)


def test_an_erasure_that_could_not_be_recorded_changes_nothing(filled: LifecycleCore) -> None:
    with crashing(ErasureLog, "record"):
        filled.eraser.erase(filled.wifi, [EPOCH])
    assert filled.erasure_log.of("wifi") == []
    assert filled.devices() == EARLIER | LATER
    assert len(filled.ingest(sessions(50, 1, FIRST)).records) == 1


def test_an_erasure_waits_for_a_flush_that_was_admitted_before_and_erases_it_too(
    filled: LifecycleCore, storage: FakeStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, send = threading.Event(), threading.Event()
    append = storage.append

    def slow(cells: Sequence[Cell]) -> None:
        sending.set()
        send.wait(10)
        append(cells)

    monkeypatch.setattr(storage, "append", slow)
    writing = threading.Thread(target=filled.ingest, args=[sessions(50, 5, FIRST)])
    writing.start()
    sending.wait(10)
    erasing = threading.Thread(target=filled.eraser.erase, args=[filled.wifi, [EPOCH]])
    erasing.start()
    erasing.join(0.2)
    assert erasing.is_alive()
    send.set()
    for thread in (writing, erasing):
        thread.join(10)
    require_erased(filled)


def test_an_erasure_waits_for_a_running_question_before_it_deletes_cells(filled: LifecycleCore) -> None:
    asking, answered = threading.Event(), threading.Event()

    def ask() -> None:
        with filled.search.ask(Question(filled.wifi, EVER, columns=("ssid",))) as answer:
            asking.set()
            answered.wait(10)
            found.extend(len(hit) for hit in answer.hits)

    found: list[int] = []
    question = threading.Thread(target=ask)
    question.start()
    asking.wait(10)
    erasing = threading.Thread(target=filled.eraser.erase, args=[filled.wifi, [EPOCH]])
    erasing.start()
    erasing.join(0.2)
    assert erasing.is_alive()
    answered.set()
    question.join(10)
    erasing.join(10)
    assert sum(found) == 40
    require_erased(filled)


@pytest.mark.parametrize("state", [SegmentState.SENT, SegmentState.STORED])
def test_a_running_compaction_job_cannot_restore_an_erased_segment(filled: LifecycleCore, state: SegmentState) -> None:
    sent = filled.send(sessions(0, 10, FIRST), settled=True)
    if state is SegmentState.STORED:
        (sent,) = filled.manifest.commit(Change(moved=moves([sent], SegmentState.STORED))).rows
    filled.eraser.erase(filled.wifi, [EPOCH])
    with pytest.raises(StaleError):
        filled.manifest.commit(Change(moved=moves([sent], SegmentState.LIVE)))
    require_erased(filled)


def test_a_rolled_back_home_erases_nothing(tmp_path: Path, storage: FakeStorage) -> None:
    (witness := tmp_path / "witness").mkdir()
    core = LifecycleCore(tmp_path / "home", storage, [FileWitness(witness)])
    core.ingest(sessions(0, 10, FIRST))
    copy = {file.name: file.read_bytes() for file in core.home.path.glob("trusted.db*")}
    cells = dict(storage.cells)
    core.ingest(sessions(10, 10, FIRST))
    core.store.dispose()
    for name, content in copy.items():
        (core.home.path / name).write_bytes(content)
    storage.cells = cells
    again = LifecycleCore(tmp_path / "home", storage, [FileWitness(witness)])
    for _ in range(2):
        with pytest.raises(RolledBackError):
            again.eraser.erase(again.wifi, [EPOCH])
    assert again.erasure_log.of("wifi") == []
    assert storage.cells == cells
