"""What backups need stays, and no longer than it must."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, Engine

from privacyplease.proxy import backups, holdings, journal
from privacyplease.proxy.trusted_store import store as trusted_store

DAY = 86_400_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_727_740_800_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(backups, "_now", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Engine:
    return trusted_store.open_store(tmp_path / "trusted.db")


@contextmanager
def writing(store: Engine) -> Iterator[Connection]:
    with trusted_store.writing(store) as connection:
        yield connection


def entry(store: Engine) -> int:
    with writing(store) as connection:
        return journal.write(connection, "wifi", 0, np.zeros((1, 48), np.uint8))


def back_up(store: Engine) -> int:
    number = backups.begin(store)
    with writing(store) as connection:
        backups.done(connection, number)
    return number


def needed_after(store: Engine) -> int | None:
    with store.connect() as connection:
        return backups.needed_after(connection)


def test_the_last_two_keep_what_was_retired_since(store: Engine) -> None:
    assert needed_after(store) is None
    first = entry(store)
    back_up(store)
    assert needed_after(store) == first
    second = entry(store)
    back_up(store)
    assert needed_after(store) == first
    entry(store)
    back_up(store)
    assert needed_after(store) == second


def test_one_that_runs_keeps_it_from_its_beginning_and_one_that_failed_keeps_nothing(
    store: Engine, clock: Clock
) -> None:
    first = entry(store)
    number = backups.begin(store)
    entry(store)
    assert needed_after(store) == first
    backups.abandon(store, number)
    assert needed_after(store) is None
    backups.begin(store)  # and is killed
    clock.now += DAY
    assert needed_after(store) is None


def test_an_old_one_keeps_nothing(store: Engine, clock: Clock) -> None:
    back_up(store)
    clock.now += backups.KEPT_MS
    assert needed_after(store) is None


def test_numbers_of_runs_are_never_given_twice(store: Engine) -> None:
    back_up(store)
    with writing(store) as connection:
        backup = backups.last(connection)
        assert backup is not None
        given = [backup.run]
        for _ in range(20):
            holdings.skip_runs(connection)
            given.append(holdings.unused_run(connection))
    assert given == sorted(set(given))
    assert given[-1] < 1 << 62
