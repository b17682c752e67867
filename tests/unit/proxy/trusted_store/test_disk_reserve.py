import errno
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from privacyplease.proxy.trusted_store import disk_reserve
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve, is_full
from privacyplease.proxy.trusted_store.store import open_store

MIB = 1024 * 1024
FULL = OSError(errno.ENOSPC, "No space left on device")


def test_the_reserve_occupies_the_disk_until_it_is_full(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve", MIB)
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= MIB
    assert not reserve.full
    assert not reserve.release(OSError(errno.EIO, "Input/output error"))
    assert not reserve.full
    assert reserve.release(FULL)
    assert reserve.full
    assert not (tmp_path / "reserve").exists()
    assert not reserve.release(FULL)  # trying again would not help


def test_the_reserve_is_occupied_again_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, free = [0.0], [2 * MIB - 1]
    monkeypatch.setattr(DiskReserve, "free_bytes", lambda _: free[0])
    reserve = DiskReserve(tmp_path / "reserve", MIB, clock=lambda: now[0])
    assert reserve.full  # room for the reserve and nothing else
    assert reserve.low
    free[0] = 2 * MIB
    assert reserve.full
    now[0] += 1
    assert not reserve.full
    assert (tmp_path / "reserve").exists()
    free[0] = disk_reserve.LOW_BYTES
    assert not reserve.low


def test_a_statement_that_fails_for_lack_of_room_frees_the_reserve(tmp_path: Path) -> None:
    store = open_store(tmp_path / "trusted.db")
    reserve = DiskReserve(tmp_path / "reserve", MIB)
    reserve.watch(store)
    with store.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(DBAPIError) as raised:
            connection.execute(text("CREATE TABLE large (content)"))
    assert is_full(raised.value)
    assert reserve.full


def test_other_errors_do_not_mean_that_the_disk_is_full() -> None:
    for error in (OSError(errno.EIO, "Input/output error"), sqlite3.OperationalError("locked"), ValueError()):
        assert not is_full(error)
