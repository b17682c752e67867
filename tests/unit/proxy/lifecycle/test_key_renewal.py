"""A renewed key: the old one opens nothing that is stored, and no answer changes, even after an interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from privacyplease.proxy.errors import CellsMissingError, InvalidRequestError, StorageUnavailableError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import DAY, LifecycleCore, sessions
from tests.services.simulated_crash import crashing

EPOCH = 665
FIRST = EPOCH * 30 * DAY  # 2024-08-14
SECOND = FIRST + 30 * DAY
EVERYBODY = set(range(40))


@pytest.fixture
def filled(core: LifecycleCore) -> LifecycleCore:
    """Two epochs with data, of several flushes."""
    for first, start in ((0, FIRST), (10, FIRST + 20 * DAY), (20, SECOND), (30, SECOND + DAY)):
        core.ingest(sessions(first, 10, start))
    return core


def keys(core: LifecycleCore) -> list[KeyId]:
    return core.erasure_log.live("wifi")


def renewed(generation: int) -> list[KeyId]:
    return [KeyId(EPOCH, generation), KeyId(EPOCH + 1)]


@pytest.mark.parametrize("compacted", [False, True])
def test_renewing_a_key_changes_no_answer_and_leaves_nothing_under_the_old_one(
    filled: LifecycleCore, compacted: bool
) -> None:
    if compacted:
        filled.compact()
    old_key = filled.keyring.digest_key("wifi", KeyId(EPOCH))
    old_tags = filled.tags_of(row for row in filled.rows() if row.key == KeyId(EPOCH))
    assert filled.key_renewal.renew(filled.wifi, EPOCH) == 20
    assert filled.devices() == EVERYBODY
    assert filled.server.select(old_tags) == {}
    assert keys(filled) == [*filled.keyring.generations("wifi", EPOCH), KeyId(EPOCH + 1)] == renewed(1)
    assert {row.key for row in filled.rows()} == set(renewed(1))
    assert filled.keyring.digest_key("wifi", KeyId(EPOCH, 1)) != old_key
    assert filled.erasure_log.of("wifi") == []


def test_records_of_a_renewed_period_are_sealed_under_the_new_key_which_can_be_renewed_again(
    filled: LifecycleCore, start: Callable[[], LifecycleCore]
) -> None:
    filled.key_renewal.renew(filled.wifi, EPOCH)
    filled.ingest(sessions(50, 5, FIRST + DAY))
    again = start()
    again.ingest(sessions(55, 5, FIRST + DAY))
    assert again.key_renewal.renew(again.wifi, EPOCH) == 30
    assert again.devices() == EVERYBODY | set(range(50, 60))
    assert keys(again) == renewed(2)


def test_a_renewed_period_can_be_erased(filled: LifecycleCore, start: Callable[[], LifecycleCore]) -> None:
    filled.key_renewal.renew(filled.wifi, EPOCH)
    filled.eraser.erase(filled.wifi, [EPOCH])
    assert [(erasure.key, erasure.erased_at is None) for erasure in filled.erasure_log.of("wifi")] == [
        (KeyId(EPOCH, 1), False)
    ]
    assert len(filled.ingest(sessions(50, 5, FIRST)).records) == 0
    again = start()
    assert (again.devices(), keys(again)) == (set(range(20, 40)), [KeyId(EPOCH + 1)])
    with pytest.raises(InvalidRequestError):
        again.key_renewal.renew(again.wifi, EPOCH)


STEPS = {
    "before admitted batches have arrived": ("eraser", "wait_for_running", 0),
    "before anything is sealed again": ("core", "rewrite", 0),
    "before it is sent": ("server", "append", 0),
    "before it is live": ("manifest", "commit", 2),
    "before the old key is retired": ("eraser", "retire", 0),
    "before the old cells are deleted": ("server", "delete", 0),
    "before the old key is destroyed": ("erasure_log", "shred", 0),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_renewal_that_crashed_at_any_step_changes_no_answer_and_is_finished(
    step: str, filled: LifecycleCore, start: Callable[[], LifecycleCore]
) -> None:
    owner, method, after = STEPS[step]
    with crashing(filled if owner == "core" else getattr(filled, owner), method, after=after):
        filled.key_renewal.renew(filled.wifi, EPOCH)
    again = start()
    assert again.devices() == EVERYBODY
    again.eraser.finish()
    again.key_renewal.finish()
    assert again.devices() == EVERYBODY
    assert keys(again) == [*again.keyring.generations("wifi", EPOCH), KeyId(EPOCH + 1)] == renewed(1)
    assert {row.key for row in again.rows()} == set(renewed(1))


def test_a_renewal_with_an_unavailable_server_keeps_both_keys(filled: LifecycleCore, storage: FakeStorage) -> None:
    with storage.failing("append"), pytest.raises(StorageUnavailableError):
        filled.key_renewal.renew(filled.wifi, EPOCH)
    assert len(keys(filled)) == 3
    assert filled.devices() == EVERYBODY
    assert filled.key_renewal.renew(filled.wifi, EPOCH) == 20
    assert keys(filled) == renewed(1)


def test_ingest_and_questions_are_correct_during_a_renewal(filled: LifecycleCore) -> None:
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
        filled.key_renewal.renew(filled.wifi, EPOCH)
    stopped.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert filled.devices() == EVERYBODY | set(range(100, sent[0]))
    assert keys(filled) == renewed(3)


def test_a_segment_sealed_under_the_old_key_during_a_renewal_is_sealed_again(filled: LifecycleCore) -> None:
    real, under = filled.eraser.retire, list[KeyId]()

    def retire(dataset: Dataset, keys: Sequence[KeyId]) -> int:
        if not under:  # like a slow flush that still had the old key
            row = filled.send(sessions(60, 5, FIRST))
            under.append(row.key)
            filled.flush_recovery.recover("wifi")
        return real(dataset, keys)

    filled.keyring._current.clear()
    filled.keyring.ensure("wifi", EPOCH)
    filled.eraser.retire = retire  # type: ignore[method-assign]
    real_ensure = filled.keyring.ensure
    filled.keyring.ensure = lambda owner, epoch: (  # type: ignore[method-assign]
        KeyId(EPOCH) if (owner, epoch) == ("wifi", EPOCH) else real_ensure(owner, epoch)
    )
    filled.key_renewal.renew(filled.wifi, EPOCH)
    assert under == [KeyId(EPOCH)]
    filled.keyring.ensure = real_ensure  # type: ignore[method-assign]
    assert filled.devices() == EVERYBODY | set(range(60, 65))
    assert keys(filled) == renewed(1)


def test_a_segment_that_was_retired_during_a_renewal_is_skipped(
    filled: LifecycleCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite = filled.rewrite

    def overtaken(dataset: Dataset, rows: Sequence[ManifestRow], key: KeyId) -> int:
        monkeypatch.setattr(filled, "rewrite", rewrite)
        rewrite(dataset, rows[:1], key)
        return rewrite(dataset, rows, key)  # a segment is no longer live

    monkeypatch.setattr(filled, "rewrite", overtaken)
    assert filled.key_renewal.renew(filled.wifi, EPOCH) == 10
    assert filled.devices() == EVERYBODY
    assert keys(filled) == renewed(1)


def test_unacknowledged_segments_are_deleted_with_the_old_key(filled: LifecycleCore) -> None:
    filled.send(sessions(60, 5, FIRST))
    filled.key_renewal.renew(filled.wifi, EPOCH)
    assert [row for row in filled.rows() if row.state is not SegmentState.LIVE] == []
    assert filled.devices() == EVERYBODY


def test_a_renewal_is_refused_for_a_period_without_a_key_and_if_the_old_one_could_not_be_destroyed(
    filled: LifecycleCore,
) -> None:
    with pytest.raises(InvalidRequestError, match="a period that has a key"):
        filled.key_renewal.renew(filled.wifi, EPOCH - 1)
    filled.eraser._erasure_log = ErasureLog(filled.store, shared=True)
    with pytest.raises(InvalidRequestError, match="--epoch-keys"):
        filled.key_renewal.renew(filled.wifi, EPOCH)


def test_a_withheld_cell_stops_a_renewal_and_both_keys_stay(filled: LifecycleCore, storage: FakeStorage) -> None:
    row = filled.rows(SegmentState.LIVE)[0]
    del storage.cells[filled.tags_of([row])[0]]
    with pytest.raises(CellsMissingError):
        filled.key_renewal.renew(filled.wifi, EPOCH)
    assert keys(filled) == [KeyId(EPOCH), *renewed(1)]
