"""A renewed key: the old one opens nothing that is stored, and no answer changes, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from privacyplease.proxy.errors import CellsMissingError, InvalidRequestError, StorageUnavailableError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle.erasures import Erasures
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.records.dataset import Dataset
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import DAY, ProxyCore, sessions

EPOCH = 665
FIRST = EPOCH * 30 * DAY  # 2024-08-14
SECOND = FIRST + 30 * DAY
EVERYBODY = set(range(40))


@pytest.fixture
def filled(core: ProxyCore) -> ProxyCore:
    """Two epochs with data, of several flushes."""
    for first, start in ((0, FIRST), (10, FIRST + 20 * DAY), (20, SECOND), (30, SECOND + DAY)):
        core.ingest(sessions(first, 10, start))
    return core


def keys(core: ProxyCore) -> list[KeyId]:
    return core.erasures.live("wifi")


def renewed(generation: int) -> list[KeyId]:
    return [KeyId(EPOCH, generation), KeyId(EPOCH + 1)]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_renewed_key_changes_no_answer_and_leaves_nothing_of_the_old_one(filled: ProxyCore, compacted: bool) -> None:
    if compacted:
        filled.compact()
    old_key = filled.keyring.digest_key("wifi", KeyId(EPOCH))
    old_tags = filled.tags_of(row for row in filled.rows() if row.key == KeyId(EPOCH))
    assert filled.renewing.renew(filled.wifi, EPOCH) == 20
    assert filled.devices() == EVERYBODY
    assert filled.server.select(old_tags) == {}
    assert keys(filled) == [*filled.keyring.generations("wifi", EPOCH), KeyId(EPOCH + 1)] == renewed(1)
    assert {row.key for row in filled.rows()} == set(renewed(1))
    assert filled.keyring.digest_key("wifi", KeyId(EPOCH, 1)) != old_key
    assert filled.erasures.of("wifi") == []


def test_records_of_a_renewed_period_go_under_the_new_key_and_it_can_be_renewed_again(
    filled: ProxyCore, start: Callable[[], ProxyCore]
) -> None:
    filled.renewing.renew(filled.wifi, EPOCH)
    filled.ingest(sessions(50, 5, FIRST + DAY))
    again = start()
    again.ingest(sessions(55, 5, FIRST + DAY))
    assert again.renewing.renew(again.wifi, EPOCH) == 30
    assert again.devices() == EVERYBODY | set(range(50, 60))
    assert keys(again) == renewed(2)


def test_a_renewed_period_is_erased_as_any_other(filled: ProxyCore, start: Callable[[], ProxyCore]) -> None:
    filled.renewing.renew(filled.wifi, EPOCH)
    filled.erasing.erase(filled.wifi, [EPOCH])
    assert [(erasure.key, erasure.erased_at is None) for erasure in filled.erasures.of("wifi")] == [
        (KeyId(EPOCH, 1), False)
    ]
    assert len(filled.ingest(sessions(50, 5, FIRST)).records) == 0
    again = start()
    assert (again.devices(), keys(again)) == (set(range(20, 40)), [KeyId(EPOCH + 1)])
    with pytest.raises(InvalidRequestError):
        again.renewing.renew(again.wifi, EPOCH)


class Crash(BaseException):
    """The end of the process."""


STEPS = {
    "before what was let in has arrived": ("erasing", "settle", 0),
    "before anything is sealed again": ("core", "rewrite", 0),
    "before it is sent": ("server", "append", 0),
    "before it is live": ("manifest", "commit", 2),
    "before the old key is out of use": ("erasing", "retire", 0),
    "before the old cells are deleted": ("server", "delete", 0),
    "before the old key is destroyed": ("erasures", "shred", 0),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_changes_no_answer_and_is_made_good(
    step: str, filled: ProxyCore, start: Callable[[], ProxyCore], monkeypatch: pytest.MonkeyPatch
) -> None:
    part, method, after = STEPS[step]
    owner = filled if part == "core" else getattr(filled, part)
    real, calls = getattr(owner, method), []

    def crash_in_time(*given: object, **more: object) -> object:
        calls.append(given)
        if len(calls) > after:
            raise Crash
        return real(*given, **more)

    with monkeypatch.context() as crashing:
        crashing.setattr(owner, method, crash_in_time)
        with pytest.raises(Crash):
            filled.renewing.renew(filled.wifi, EPOCH)
    again = start()
    assert again.devices() == EVERYBODY
    again.erasing.finish()
    again.renewing.finish()
    assert again.devices() == EVERYBODY
    assert keys(again) == [*again.keyring.generations("wifi", EPOCH), KeyId(EPOCH + 1)] == renewed(1)
    assert {row.key for row in again.rows()} == set(renewed(1))


def test_an_unavailable_server_leaves_both_keys(filled: ProxyCore, storage: FakeStorage) -> None:
    with storage.failing("append"), pytest.raises(StorageUnavailableError):
        filled.renewing.renew(filled.wifi, EPOCH)
    assert len(keys(filled)) == 3
    assert filled.devices() == EVERYBODY
    assert filled.renewing.renew(filled.wifi, EPOCH) == 20
    assert keys(filled) == renewed(1)


def test_records_come_in_and_answers_stay_right_while_it_runs(filled: ProxyCore) -> None:
    stopped, wrong, sent = threading.Event(), list[object](), [100]

    def send() -> None:
        while not stopped.is_set():
            filled.ingest(sessions(sent[0], 3, FIRST))
            sent[0] += 3

    def ask() -> None:
        while not stopped.is_set():
            if not (found := filled.devices()) >= EVERYBODY:
                wrong.append(found)

    threads = [threading.Thread(target=work) for work in (send, ask)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        filled.renewing.renew(filled.wifi, EPOCH)
    stopped.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert filled.devices() == EVERYBODY | set(range(100, sent[0]))
    assert keys(filled) == renewed(3)


def test_what_was_sealed_under_the_old_key_meanwhile_is_sealed_again_too(filled: ProxyCore) -> None:
    real, under = filled.erasing.retire, list[KeyId]()

    def retire(dataset: Dataset, keys: Sequence[KeyId]) -> int:
        if not under:  # as a flush that had the old key and was slow
            row = filled.send(sessions(60, 5, FIRST))
            under.append(row.key)
            filled.settling.settle("wifi")
        return real(dataset, keys)

    filled.keyring._current.clear()
    filled.keyring.ensure("wifi", EPOCH)
    filled.erasing.retire = retire  # type: ignore[method-assign]
    real_ensure = filled.keyring.ensure
    filled.keyring.ensure = lambda owner, epoch: (  # type: ignore[method-assign]
        KeyId(EPOCH) if (owner, epoch) == ("wifi", EPOCH) else real_ensure(owner, epoch)
    )
    filled.renewing.renew(filled.wifi, EPOCH)
    assert under == [KeyId(EPOCH)]
    filled.keyring.ensure = real_ensure  # type: ignore[method-assign]
    assert filled.devices() == EVERYBODY | set(range(60, 65))
    assert keys(filled) == renewed(1)


def test_a_segment_that_somebody_else_has_retired_meanwhile_is_left(
    filled: ProxyCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite = filled.rewrite

    def overtaken(dataset: Dataset, rows: Sequence[Row], key: KeyId) -> int:
        monkeypatch.setattr(filled, "rewrite", rewrite)
        rewrite(dataset, rows[:1], key)
        return rewrite(dataset, rows, key)  # a segment is not live any more

    monkeypatch.setattr(filled, "rewrite", overtaken)
    assert filled.renewing.renew(filled.wifi, EPOCH) == 10
    assert filled.devices() == EVERYBODY
    assert keys(filled) == renewed(1)


def test_what_nobody_was_told_of_goes_with_the_old_key(filled: ProxyCore) -> None:
    filled.send(sessions(60, 5, FIRST))
    filled.renewing.renew(filled.wifi, EPOCH)
    assert [row for row in filled.rows() if row.state is not State.LIVE] == []
    assert filled.devices() == EVERYBODY


def test_a_period_without_a_key_and_a_shared_store_are_refused(filled: ProxyCore) -> None:
    with pytest.raises(InvalidRequestError, match="a period that has a key"):
        filled.renewing.renew(filled.wifi, EPOCH - 1)
    filled.erasing._erasures = Erasures(filled.store, alone=False)
    with pytest.raises(InvalidRequestError, match="alone"):
        filled.renewing.renew(filled.wifi, EPOCH)


def test_a_cell_that_is_withheld_stops_it(filled: ProxyCore, storage: FakeStorage) -> None:
    row = filled.rows(State.LIVE)[0]
    del storage.cells[filled.tags_of([row])[0]]
    with pytest.raises(CellsMissingError):
        filled.renewing.renew(filled.wifi, EPOCH)
    assert keys(filled) == [KeyId(EPOCH), *renewed(1)]
