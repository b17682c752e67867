"""Restoring an earlier state brings everything back: what it knows, and what was stored later."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from privacyplease.proxy.backup import registry
from privacyplease.proxy.errors import (
    CellsMissingError,
    ConfigurationError,
    StorageError,
    StorageUnavailableError,
)
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle import segment_discovery
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKeys
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.manifest.statements import RESERVED
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.sealing import CellContext, Sealer
from privacyplease.proxy.storage.cell import Sealed
from privacyplease.proxy.trusted_store.tables import data_keys
from privacyplease.storage.v1 import storage_service_pb2 as pb
from tests.services.lifecycle_core import DAY, LifecycleCore, sessions
from tests.services.site import Site, require_whole, wrong

START = 1_727_740_800_000  # 2024-10-01
EPOCH = START // (30 * DAY)


def test_a_restore_brings_back_what_was_stored_before_and_after_the_backup(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 20, START))
    core.compact()
    core.ingest(sessions(20, 20, START))
    site.back_up()
    core.ingest(sessions(40, 20, START))
    core.compact()
    core.collect(registry.needed_after(core.store))
    core.ingest(sessions(60, 20, START + DAY))
    core = site.restore()
    require_whole(core, 80)
    assert {name: site.adopted[name] for name in ("cells", "missing", "unreadable", "keyless")} == {
        # The compacted segment with its roll-up, the flush before, which is kept for the backup, and the one after.
        "cells": 3 + 2 + 2,
        "missing": 0,
        "unreadable": 0,
        "keyless": site.adopted["keyless"],
    }
    assert not site.home.restored.exists()
    core.ingest(sessions(80, 20, START))
    core.compact()
    core.collect(None)
    require_whole(core, 100)
    require_whole(site.start(), 100)  # nothing is added twice


def test_a_period_that_was_destroyed_after_the_backup_stays_so_if_its_key_is_not_in_the_backup(
    site: Site, tmp_path: Path
) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.ingest(sessions(10, 10, START - 30 * DAY))
    site.back_up()
    elsewhere = shutil.copytree(site.home.epoch_keys, tmp_path / "epoch-keys")
    core.eraser.erase(core.wifi, [EPOCH - 1])
    (destroyed,) = {file.name for file in elsewhere.iterdir()} - {file.name for file in site.home.epoch_keys.iterdir()}
    site.lose()
    (site.home.epoch_keys / destroyed).unlink()  # as in a folder that the backup did not contain
    core = site.start()
    require_whole(core, 10)
    core.erasure_log.refresh()  # which a proxy reads after it has been restored
    (erasure,) = core.erasure_log.of("wifi")
    assert erasure.key.epoch == EPOCH - 1
    assert erasure.erased_at is not None
    assert core.keyring.epochs("wifi") == [EPOCH]


def test_the_same_backup_can_be_restored_repeatedly(site: Site) -> None:
    """Segments stored after each restore are found after the next, and no number is assigned twice."""
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    numbers = {row.number for row in core.rows()}
    for first in range(10, 40, 10):
        core.ingest(sessions(first, 10, START))
        numbers |= {row.number for row in core.rows()}
        core = site.restore()
        require_whole(core, first + 10)
    assert len(numbers) == 4
    core.ingest(sessions(40, 10, START))
    assert len({row.number for row in core.rows()} | numbers) == 5


def test_a_restore_recovers_flushes_that_a_crash_interrupted(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    stored, lost = core.send(sessions(10, 10, START)), core.send(sessions(20, 10, START), cells=1)
    site.back_up()
    core = site.restore()
    assert {row.number for row in core.rows(SegmentState.LIVE)} >= {stored.number}
    assert lost.number not in {row.number for row in core.rows()}
    require_whole(core, 20)


def test_numbers_that_were_reserved_before_the_backup_and_used_after_it_are_found(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.manifest.numbers("wifi", RESERVED - 100)  # compaction has reserved many since the writer reserved its own
    site.back_up()
    core.ingest(sessions(10, 10, START))
    require_whole(site.restore(), 20)


def test_a_writer_replaces_numbers_that_were_reserved_too_long_ago(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.manifest.numbers("wifi", RESERVED + 100)
    core.ingest(sessions(10, 10, START))
    assert max(row.number for row in core.rows()) > RESERVED
    require_whole(core, 20)


def test_segments_are_found_beyond_many_under_a_lost_key(site: Site) -> None:
    """As far as the newest head shows the manifest to be behind."""
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    core.ingest(sessions(10, 10, START + 60 * DAY))  # under a key that no backup has
    behind = 2 * (RESERVED + 5 * segment_discovery.TOGETHER)
    core.manifest.numbers("wifi", behind)
    core.ingest(sessions(10, 10, START))
    newest = core.manifest.head()
    core.server.append([core.manifest.overtake(newest._replace(version=newest.version + behind))])
    core.ingest(sessions(20, 10, START))
    require_whole(site.restore(), 30)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_server_that_withholds_what_the_backup_knows_is_detected(site: Site, compacted: bool) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    cells = core.tags_of(core.rows())
    site.back_up()
    core.ingest(sessions(10, 10, START))
    if compacted:
        core.compact()
        core.collect(registry.needed_after(core.store))
    whole = dict(site.storage.cells)
    for lost in cells:
        site.storage.cells = {tag: sealed for tag, sealed in whole.items() if tag != lost}
        core = site.restore()
        assert (site.adopted["missing"], site.adopted["unreadable"], wrong(core)) == (1, 0, 1)
        with pytest.raises(CellsMissingError):
            core.devices()
        sealed = whole[lost]
        site.storage.cells = whole | {lost: Sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]))}
        core = site.restore()
        assert (site.adopted["missing"], site.adopted["unreadable"], wrong(core)) == (0, 1, 1)
    site.storage.cells = whole
    require_whole(site.restore(), 20)


def test_a_server_can_withhold_what_came_later_and_nothing_of_it_comes_back_unnoticed(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    before = dict(site.storage.cells)
    core.ingest(sessions(10, 10, START))
    after = dict(site.storage.cells)
    site.storage.cells = before
    core = site.restore()
    require_whole(core, 10)
    site.storage.cells = after | site.storage.cells
    require_whole(core, 10)


def test_a_newer_segment_with_a_missing_or_damaged_cell_is_reported(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    for first in (10, 20, 30):
        core.ingest(sessions(first, 10, START))
    (_, restless), (changed, _), _ = (core.tags_of([row]) for row in core.rows()[1:])
    del site.storage.cells[restless]
    sealed = site.storage.cells[changed]
    site.storage.cells[changed] = Sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    core = site.restore()
    assert (site.adopted["cells"], site.adopted["missing"], site.adopted["unreadable"]) == (2, 1, 1)
    assert core.devices() == {*range(10), *range(30, 40)}


def test_the_keys_of_the_core_cannot_forge_a_newer_segment(site: Site) -> None:
    """An exported keyring has the tag key and the cell key of the core."""
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    core.ingest(sessions(10, 10, START))
    core.ingest(sessions(20, 10, START))
    exported = core.keyring.group_keys("wifi", KeyId(EPOCH), Group.CORE.label)
    for row, forged_for in zip(core.rows()[1:], ("another page", "another segment's page"), strict=True):
        (tag, name), *_ = core.cells.tags([row], Group.CORE).items()
        source = row if forged_for == "another page" else core.rows()[1]
        (from_tag, from_name), *_ = core.cells.tags([source], Group.CORE).items()
        page = core.cells.open(from_name, from_tag, core.server.cells[from_tag])
        forger = Sealer(exported.cell, core.keyring.digest_key("wifi", KeyId(EPOCH)))
        budget = core.wifi.budgets[Group.CORE.label]
        forged = forger.seal(page, CellContext("wifi", Group.CORE, tag), budget, name.row.summary.records)
        site.storage.cells[tag] = forged.cell.sealed
    core = site.restore()
    assert (site.adopted["cells"], site.adopted["unreadable"]) == (0, 2)
    require_whole(core, 10)


def test_the_last_two_backups_stay_restorable_and_older_ones_report_missing_cells(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    names = ("first", "second", "third")
    for number, name in enumerate(names):
        site.back_up(name)
        core.ingest(sessions(10 + number * 10, 10, START))
        core.compact()
        core.collect(registry.needed_after(core.store))
    for name, lacks in zip(names, (True, False, False), strict=True):
        core = site.restore(name)
        assert (site.adopted["missing"] > 0, wrong(core) > 0) == (lacks, lacks)
        if not lacks:
            require_whole(core, 40)


def test_segments_removed_before_the_backup_do_not_come_back(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    removed = {tag: site.storage.cells[tag] for tag in core.tags_of(core.rows())}
    core.compact()
    core.collect(None)
    site.back_up()
    site.storage.cells |= removed
    core = site.restore()
    assert site.adopted["cells"] == 0
    require_whole(core, 10)


def test_periods_whose_keys_may_be_lost_are_listed(site: Site) -> None:
    now = int(time.time() * 1_000)
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    assert registry.keys_without_backup(core.store) == 0
    core.ingest(sessions(10, 10, now - DAY, spread=1))
    assert registry.keys_without_backup(core.store) == 1
    core = site.restore()
    require_whole(core, 10)
    assert [period["dataset"] for period in site.adopted["keyless"]] == ["wifi"]
    core.ingest(sessions(10, 10, now - DAY, spread=1))
    require_whole(core, 20)


def test_a_period_destroyed_after_the_backup_stays_destroyed(site: Site) -> None:
    """Even if the server has kept every cell that it was told to delete."""
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.ingest(sessions(10, 10, START + 60 * DAY))
    (doomed,) = wrapped(core)
    site.back_up()
    kept = dict(site.storage.cells)
    core.eraser.erase(core.wifi, [EPOCH])
    site.storage.cells = kept | site.storage.cells
    core = site.restore()
    assert (core.devices(), wrong(core)) == ({*range(10, 20)}, 0)
    assert [site.adopted[name] for name in ("missing", "unreadable", "destroyed")] == [0, 0, 1]
    assert core.keyring.epochs("wifi") == [EPOCH + 2]
    assert not any(doomed in file.read_bytes() for file in site.home.path.rglob("*") if file.is_file())
    core = site.start()
    assert len(core.ingest(sessions(20, 10, START)).records) == 0
    assert [erasure.key for erasure in core.erasure_log.of("wifi") if erasure.erased_at] == [KeyId(EPOCH)]


def test_without_the_list_a_destroyed_period_would_live_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    kept = dict(site.storage.cells)
    core.eraser.erase(core.wifi, [EPOCH])
    site.storage.cells = kept | site.storage.cells
    monkeypatch.setattr(DestroyedKeys, "read", lambda *_: [])
    require_whole(site.restore(), 10)


def test_a_server_that_withholds_destroyed_keys_stops_the_restore(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.ingest(sessions(10, 10, START + 60 * DAY))
    site.back_up()
    core.eraser.erase(core.wifi, [EPOCH, EPOCH + 2])
    whole = dict(site.storage.cells)
    first, second = core.destroyed_keys.tags([1, 2])
    site.storage.cells = {tag: whole[tag] for tag in whole if tag not in (first, second)}
    with pytest.raises(ConfigurationError, match="2 destroyed keys on the list; 2 of them are missing"):
        site.restore()
    site.storage.cells = whole | {first: Sealed(whole[first][:-1] + bytes([whole[first][-1] ^ 1]))}
    with pytest.raises(ConfigurationError, match="does not open"):
        site.start()
    site.storage.cells = whole
    core = site.start()
    assert (core.devices(), core.keyring.epochs("wifi")) == (set(), [])


def test_a_period_whose_key_was_renewed_after_the_backup_takes_records_under_a_new_key(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    core.key_renewal.renew(core.wifi, EPOCH)
    core = site.restore()
    assert core.keyring.generations("wifi", EPOCH) == [KeyId(EPOCH, 1)]
    core.ingest(sessions(0, 10, START))
    require_whole(core, 10)


@pytest.mark.parametrize("call", ["append", "select", "delete"])
def test_an_erasure_that_is_interrupted_anywhere_is_on_the_list_once_it_is_finished(site: Site, call: str) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.ingest(sessions(10, 10, START + 60 * DAY))
    site.back_up()
    for skipped in range(4):
        site.storage.before = failing_after(skipped, call)
        with suppress(StorageError):
            core.eraser.erase(core.wifi, [EPOCH + 2 * (skipped % 2)])
        site.storage.before = lambda _: None
        core = site.start()
    core.eraser.erase(core.wifi, [EPOCH + 2])
    core.eraser.finish()
    assert core.manifest.head().destroyed == 2
    core = site.restore()
    assert (core.devices(), core.keyring.epochs("wifi"), site.adopted["destroyed"]) == (set(), [], 2)


def test_a_restored_proxy_does_not_start_without_the_storage_server(site: Site) -> None:
    site.start().ingest(sessions(0, 10, START))
    site.back_up()
    site.lose()
    with site.storage.failing("select"), pytest.raises(ConfigurationError, match="the restore cannot be finished"):
        site.start()
    site.storage.lie = lambda cells: [*cells, pb.Cell(tag=bytes(16))]
    with pytest.raises(ConfigurationError, match="the restore cannot be finished"):
        site.start()
    site.storage.lie = list
    require_whole(site.start(), 10)


def wrapped(core: LifecycleCore) -> list[bytes]:
    """The wrapped key of the first epoch."""
    query = select(data_keys.c.wrapped).where(data_keys.c.dataset == "wifi", data_keys.c.epoch == EPOCH)
    with core.store.connect() as connection:
        return [bytes(value) for value in connection.scalars(query)]


def failing_after(count: int, name: str) -> Callable[[str], None]:
    """Lets a number of calls of a name pass and fails those that follow."""
    passed = iter(range(count))

    def fail(call: str) -> None:
        if call == name and next(passed, None) is None:
            raise StorageUnavailableError("the storage server cannot be reached")

    return fail
