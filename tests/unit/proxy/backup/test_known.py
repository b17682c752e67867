"""What backups need stays, and no longer than it must."""

import pytest
from sqlalchemy import Engine, insert, update

from privacyplease.proxy.backup import known
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import heads

DAY = 86_400_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_727_740_800_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, store: Engine) -> Clock:
    """A time that stands still, and a manifest that was never changed."""
    clock = Clock()
    monkeypatch.setattr(known, "_now", clock)
    row = {"one": 1, "version": 0, "gone_since": 0, "tag": bytes(16), "sealed": b""}
    with writing(store) as connection:
        connection.execute(insert(heads), row)
    return clock


def change(store: Engine) -> int:
    """Changes the manifest, whose new version it returns."""
    with writing(store) as connection:
        connection.execute(update(heads).values(version=heads.c.version + 1))
        return int(connection.scalar(heads.select().with_only_columns(heads.c.version)) or 0)


def back_up(store: Engine) -> int:
    number = known.begin(store)
    known.done(store, number)
    return number


def test_the_last_two_keep_what_was_retired_since(store: Engine) -> None:
    assert known.needed_after(store) is None
    first = change(store)
    back_up(store)
    assert known.needed_after(store) == first
    second = change(store)
    back_up(store)
    assert known.needed_after(store) == first
    change(store)
    back_up(store)
    assert known.needed_after(store) == second


def test_one_that_runs_keeps_it_from_its_beginning_and_one_that_failed_keeps_nothing(
    store: Engine, clock: Clock
) -> None:
    first = change(store)
    number = known.begin(store)
    change(store)
    assert known.needed_after(store) == first
    known.abandon(store, number)
    assert known.needed_after(store) is None
    known.begin(store)  # and is killed
    clock.now += DAY
    assert known.needed_after(store) is None


def test_an_old_one_keeps_nothing(store: Engine, clock: Clock) -> None:
    back_up(store)
    clock.now += known.KEPT_MS
    assert known.needed_after(store) is None


def test_the_one_that_a_store_was_restored_from_is_whole(store: Engine, clock: Clock) -> None:
    known.made_whole(store)
    assert known.needed_after(store) is None
    version = change(store)
    known.begin(store)  # as it stands in the copy that it made
    clock.now += 2 * DAY
    assert known.needed_after(store) is None
    known.made_whole(store)
    assert known.needed_after(store) == version


def test_keys_that_no_backup_holds_are_counted(
    store: Engine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert known.keys_without(store) == 0
    keyring.ensure("wifi", 1)
    assert known.keys_without(store) == 1
    known.begin(store)
    assert known.keys_without(store) == 1
    back_up(store)
    assert known.keys_without(store) == 0
