"""An erased epoch: nothing finds it, nothing opens it, its cells are gone, and it stays erased."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import select

from privacyplease.proxy.errors import InvalidRequestError, KeyUnavailableError, RolledBackError, StorageError
from privacyplease.proxy.keys.dead_letters import DeadLetters, letters_of
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle.erasures import ERASED, Erasures
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.rows import State
from privacyplease.proxy.manifest.witnesses import FileWitness
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.trusted_store.tables import data_keys
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import DAY, ProxyCore, sessions

EPOCH = 665
WIDTH = 30 * DAY
FIRST = EPOCH * WIDTH  # 2024-08-14
SECOND = FIRST + WIDTH
EARLIER, LATER = set(range(20)), set(range(20, 40))


@pytest.fixture
def filled(core: ProxyCore) -> ProxyCore:
    """Two epochs with data: some in one flush, some in others, some compacted."""
    core.ingest(pa.concat_tables([sessions(0, 10, FIRST), sessions(20, 10, SECOND)]))
    core.compact()
    core.ingest(sessions(10, 10, FIRST + 20 * DAY))
    core.ingest(sessions(30, 10, SECOND + DAY))
    return core


def wrapped_keys(core: ProxyCore) -> list[bytes]:
    with core.store.connect() as connection:
        chosen = select(data_keys.c.wrapped).where(data_keys.c.dataset == "wifi").order_by(data_keys.c.epoch)
        return [bytes(wrapped) for wrapped in connection.scalars(chosen)]


def of_epoch(core: ProxyCore, epoch: int = EPOCH) -> list[State]:
    return [row.state for row in core.rows() if row.key.epoch == epoch]


def require_erased(core: ProxyCore) -> None:
    """All that must hold once the first epoch is erased."""
    (erasure,) = core.erasures.of("wifi")
    assert erasure.key.epoch == EPOCH
    assert erasure.erased_at is not None
    assert core.erasures.unfinished() == []
    assert of_epoch(core) == []
    assert core.keyring.epochs("wifi") == [EPOCH + 1]
    assert core.devices() == LATER
    segments = core.tags_of(core.rows())
    heads = set(core.manifest.heads.tags(range(1, core.manifest.head().sequence + 1)))
    assert set(core.server.cells) - heads == set(segments)
    assert not core.currency.newest_elsewhere() or core.currency.newest_elsewhere() == core.manifest.head()


def test_what_is_erased_is_found_no_more_and_the_rest_is(filled: ProxyCore) -> None:
    cells = sum(len(row.groups) for row in filled.rows() if row.key.epoch == EPOCH)
    assert filled.devices() == EARLIER | LATER
    assert filled.erasing.erase(filled.wifi, [EPOCH]) == cells == 6
    require_erased(filled)
    assert filled.erasing.erase(filled.wifi, [EPOCH + 1]) == 6
    assert (filled.devices(), filled.keyring.epochs("wifi"), filled.rows()) == (set(), [], [])
    assert [erasure.key.epoch for erasure in filled.erasures.of("wifi")] == [EPOCH, EPOCH + 1]


def test_no_byte_of_the_key_is_left_in_the_proxys_store(filled: ProxyCore) -> None:
    doomed, kept = wrapped_keys(filled)

    def bytes_of_the_store() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(filled.home.path.glob("trusted.db*")))

    assert doomed in bytes_of_the_store()
    filled.erasing.erase(filled.wifi, [EPOCH])
    left = bytes_of_the_store()
    assert wrapped_keys(filled) == [kept]
    assert not any(doomed[at : at + 8] in left for at in range(len(doomed) - 8))
    assert kept in left


def test_nothing_of_it_is_left_in_memory(filled: ProxyCore) -> None:
    filled.devices()
    before = filled.memory.figures.bytes
    filled.erasing.erase(filled.wifi, [EPOCH])
    assert 0 < filled.memory.figures.bytes < before
    with pytest.raises(KeyUnavailableError):
        filled.keyring.digest_key("wifi", KeyId(EPOCH))


def test_records_that_come_late_are_rejected_with_a_reason_and_the_others_are_stored(filled: ProxyCore) -> None:
    filled.erasing.erase(filled.wifi, [EPOCH])
    nobody = sessions(99, 1, SECOND).set_column(0, "client_mac", pa.array([None], pa.int64()))
    late, good = sessions(50, 1, FIRST + DAY), sessions(51, 1, SECOND + 2 * DAY)
    checked = filled.ingest(pa.concat_tables([good, late, nobody, late]))
    assert [(row, field, reason) for row, field, reason in checked.rejections if row != 2] == [
        (1, "association_time", ERASED),
        (3, "association_time", ERASED),
    ]
    assert filled.devices() == LATER | {51}
    assert len(wrapped_keys(filled)) == 1


def test_it_stays_erased_after_a_restart(filled: ProxyCore, start: Callable[[], ProxyCore]) -> None:
    filled.erasing.erase(filled.wifi, [EPOCH])
    again = start()
    assert len(again.ingest(sessions(50, 1, FIRST)).records) == 0
    require_erased(again)


def test_the_letters_of_an_erased_period_open_no_more(filled: ProxyCore) -> None:
    letters = DeadLetters(filled.keyring)
    (old,), (new,) = (letters.seal([b"x"], "wifi", epoch) for epoch in (EPOCH, EPOCH + 1))
    (alone,) = letters.seal([b"x"], "wifi", EPOCH - 1)
    assert filled.erasing.ended(filled.wifi, SECOND) == [EPOCH - 1, EPOCH]
    filled.erasing.erase(filled.wifi, [EPOCH - 1, EPOCH])
    assert [letters.open(letter, "wifi") for letter in (alone, old, new)] == [None, None, b"x"]
    assert filled.keyring.epochs(letters_of("wifi")) == [EPOCH + 1]


def test_an_unavailable_server_leaves_it_out_of_reach_and_the_next_start_finishes(
    filled: ProxyCore, start: Callable[[], ProxyCore], storage: FakeStorage
) -> None:
    with storage.failing("delete"), pytest.raises(StorageError):
        filled.erasing.erase(filled.wifi, [EPOCH])
    assert (filled.devices(), len(filled.ingest(sessions(50, 1, FIRST)).records)) == (LATER, 0)
    assert [erasure.erased_at for erasure in filled.erasures.of("wifi")] == [None]
    again = start()
    assert again.devices() == LATER
    again.erasing.finish()
    require_erased(again)


def test_a_server_that_was_never_asked_puts_it_out_of_reach_too(
    filled: ProxyCore, start: Callable[[], ProxyCore], storage: FakeStorage
) -> None:
    again = start()
    with storage.failing("select"), storage.failing("delete"), pytest.raises(StorageError):
        again.erasing.erase(again.wifi, [EPOCH])
    assert again.devices() == LATER


class Crash(BaseException):
    """The end of the process."""


def crash(*_: object, **__: object) -> None:
    raise Crash


STEPS = {
    "while what was let in is awaited": ("erasing", "_drain", 0),
    "before it is resolved": ("manifest", "commit", 0),
    "before readers are awaited": ("erasing", "_clear", 0),
    "before the cells are deleted": ("server", "delete", 0),
    "before the rows are gone": ("manifest", "commit", 1),
    "before the head is newer": ("manifest", "commit", 2),
    "before the head is published": ("server", "append", 0),
    "before the key is destroyed": ("erasures", "shred", 0),
    "before memory is forgotten": ("memory", "forget", 0),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_is_made_good(
    step: str, filled: ProxyCore, start: Callable[[], ProxyCore], monkeypatch: pytest.MonkeyPatch
) -> None:
    part, method, after = STEPS[step]
    owner = getattr(filled, part)
    real, calls = getattr(owner, method), []

    def crash_in_time(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) > after:
            raise Crash
        return real(*given, **more)

    with monkeypatch.context() as crashing:
        crashing.setattr(owner, method, crash_in_time)
        with pytest.raises(Crash):
            filled.erasing.erase(filled.wifi, [EPOCH])
    again = start()
    assert again.devices() == (LATER if again.erasures.of("wifi") else EARLIER | LATER)
    again.erasing.finish()
    if not again.erasures.of("wifi"):
        again.erasing.erase(again.wifi, [EPOCH])
    require_erased(again)


def test_a_failed_resolution_changes_nothing(filled: ProxyCore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(Erasures, "note", crash)
        with pytest.raises(Crash):
            filled.erasing.erase(filled.wifi, [EPOCH])
    assert filled.erasures.of("wifi") == []
    assert filled.devices() == EARLIER | LATER
    assert len(filled.ingest(sessions(50, 1, FIRST)).records) == 1


def test_a_flush_that_was_let_in_before_arrives_first_and_is_erased_with_the_rest(
    filled: ProxyCore, storage: FakeStorage, monkeypatch: pytest.MonkeyPatch
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
    erasing = threading.Thread(target=filled.erasing.erase, args=[filled.wifi, [EPOCH]])
    erasing.start()
    erasing.join(0.2)
    assert erasing.is_alive()
    send.set()
    for thread in (writing, erasing):
        thread.join(10)
    require_erased(filled)


def test_a_question_that_runs_is_answered_before_the_cells_go(filled: ProxyCore) -> None:
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
    erasing = threading.Thread(target=filled.erasing.erase, args=[filled.wifi, [EPOCH]])
    erasing.start()
    erasing.join(0.2)
    assert erasing.is_alive()
    answered.set()
    question.join(10)
    erasing.join(10)
    assert sum(found) == 40
    require_erased(filled)


@pytest.mark.parametrize("state", [State.SENT, State.STORED])
def test_compaction_that_runs_brings_nothing_back(filled: ProxyCore, state: State) -> None:
    sent = filled.send(sessions(0, 10, FIRST), settled=True)
    if state is State.STORED:
        (sent,) = filled.manifest.commit(Change(moved=moves([sent], State.STORED))).rows
    filled.erasing.erase(filled.wifi, [EPOCH])
    with pytest.raises(StaleError):
        filled.manifest.commit(Change(moved=moves([sent], State.LIVE)))
    require_erased(filled)


def test_a_shared_store_erases_nothing(filled: ProxyCore) -> None:
    filled.erasing._erasures = Erasures(filled.store, alone=False)
    with pytest.raises(InvalidRequestError):
        filled.erasing.erase(filled.wifi, [EPOCH])
    assert filled.devices() == EARLIER | LATER


def test_a_home_that_was_rolled_back_erases_nothing(tmp_path: Path, storage: FakeStorage) -> None:
    (witness := tmp_path / "witness").mkdir()
    core = ProxyCore(tmp_path / "home", storage, [FileWitness(witness)])
    core.ingest(sessions(0, 10, FIRST))
    copy = {file.name: file.read_bytes() for file in core.home.path.glob("trusted.db*")}
    cells = dict(storage.cells)
    core.ingest(sessions(10, 10, FIRST))
    core.store.dispose()
    for name, content in copy.items():
        (core.home.path / name).write_bytes(content)
    storage.cells = cells
    again = ProxyCore(tmp_path / "home", storage, [FileWitness(witness)])
    for _ in range(2):
        with pytest.raises(RolledBackError):
            again.erasing.erase(again.wifi, [EPOCH])
    assert again.erasures.of("wifi") == []
    assert storage.cells == cells
