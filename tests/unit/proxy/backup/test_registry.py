"""What backups need is kept, and no longer than it must be."""

import time

import pytest
from sqlalchemy import Engine, insert, update

from privacyplease.proxy.backup import registry
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import heads
from tests.services.fake_clock import FakeClock

DAY = 86_400_000


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, store: Engine) -> FakeClock:
    """A clock that stands still, and a manifest that was never changed."""
    clock = FakeClock(1_727_740_800_000)
    monkeypatch.setattr(registry, "_now", clock)
    row = {"one": 1, "version": 0, "gone_since": 0, "tag": bytes(16), "sealed": b""}
    with writing(store) as connection:
        connection.execute(insert(heads), row)
    return clock


def change(store: Engine) -> int:
    """Changes the manifest, and returns its new version."""
    with writing(store) as connection:
        connection.execute(update(heads).values(version=heads.c.version + 1))
        return int(connection.scalar(heads.select().with_only_columns(heads.c.version)) or 0)


def back_up(store: Engine) -> int:
    number = registry.begin(store)
    registry.finish(store, number)
    return number


def test_the_last_two_backups_keep_segments_retired_since(store: Engine) -> None:
    assert registry.needed_after(store) is None
    first = change(store)
    back_up(store)
    assert registry.needed_after(store) == first
    second = change(store)
    back_up(store)
    assert registry.needed_after(store) == first
    change(store)
    back_up(store)
    assert registry.needed_after(store) == second


def test_a_running_backup_keeps_segments_and_a_failed_one_does_not(store: Engine, clock: FakeClock) -> None:
    first = change(store)
    number = registry.begin(store)
    change(store)
    assert registry.needed_after(store) == first
    registry.abandon(store, number)
    assert registry.needed_after(store) is None
    registry.begin(store)  # and is killed
    clock.now += DAY
    assert registry.needed_after(store) is None


def test_a_backup_older_than_31_days_keeps_nothing(store: Engine, clock: FakeClock) -> None:
    back_up(store)
    clock.now += registry.KEPT_MS
    assert registry.needed_after(store) is None


def test_the_backup_that_a_store_was_restored_from_counts_as_complete(store: Engine, clock: FakeClock) -> None:
    registry.finish_restored(store)
    assert registry.needed_after(store) is None
    version = change(store)
    registry.begin(store)  # as it is in the copy that this backup makes
    clock.now += 2 * DAY
    assert registry.needed_after(store) is None
    registry.finish_restored(store)
    assert registry.needed_after(store) == version


def test_keys_that_no_backup_holds_are_counted(
    store: Engine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert registry.keys_without_backup(store) == 0
    keyring.ensure("wifi", 1)
    assert registry.keys_without_backup(store) == 1
    registry.begin(store)
    assert registry.keys_without_backup(store) == 1
    back_up(store)
    assert registry.keys_without_backup(store) == 0


def test_a_key_made_after_a_backup_counts_as_without_one_though_the_clock_was_put_back(
    store: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: clock.now / 1_000)
    keyring = Keyring(store, LocalMasterKey(Key(bytes(32))))
    keyring.ensure("wifi", 0)
    clock.now += 60_000
    back_up(store)
    assert registry.keys_without_backup(store) == 0
    clock.now -= 3_600_000
    keyring.ensure("wifi", 1)
    assert registry.keys_without_backup(store) == 1
