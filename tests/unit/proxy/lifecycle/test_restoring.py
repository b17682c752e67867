"""Going on from an earlier state brings everything back: what it knows, and what came to the storage server later."""

from __future__ import annotations

import time

import pytest

from privacyplease.proxy.backup import registry
from privacyplease.proxy.errors import (
    CellsMissingError,
    ConfigurationError,
)
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.lifecycle import later
from privacyplease.proxy.manifest.rows import State
from privacyplease.proxy.manifest.stored import RESERVED
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.sealing import Place, Sealer
from privacyplease.proxy.storage.cell import Sealed
from privacyplease.storage.v1 import storage_service_pb2 as pb
from tests.services.proxy_core import DAY, sessions
from tests.services.site import Site, require_whole, wrong

START = 1_727_740_800_000  # 2024-10-01
EPOCH = START // (30 * DAY)


def test_everything_is_there_again_that_came_before_and_after(site: Site) -> None:
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
    require_whole(site.start(), 100)  # nothing is adopted twice


def test_the_same_backup_can_be_restored_again_and_again(site: Site) -> None:
    """What came after each restore is found after the next, and no number is given twice."""
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


def test_what_a_crash_of_the_old_proxy_left_open_is_settled(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    stored, lost = core.send(sessions(10, 10, START)), core.send(sessions(20, 10, START), cells=1)
    site.back_up()
    core = site.restore()
    assert {row.number for row in core.rows(State.LIVE)} >= {stored.number}
    assert lost.number not in {row.number for row in core.rows()}
    require_whole(core, 20)


def test_numbers_that_were_reserved_before_the_backup_and_used_after_it_are_found(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.manifest.numbers("wifi", RESERVED - 100)  # compaction has taken many since the writer took its own
    site.back_up()
    core.ingest(sessions(10, 10, START))
    require_whole(site.restore(), 20)


def test_a_writer_whose_numbers_have_waited_for_too_long_takes_others(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.manifest.numbers("wifi", RESERVED + 100)
    core.ingest(sessions(10, 10, START))
    assert max(row.number for row in core.rows()) > RESERVED
    require_whole(core, 20)


def test_segments_of_a_key_are_found_behind_many_of_one_that_is_lost(site: Site) -> None:
    """As far as the newest head says that the manifest is behind."""
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    core.ingest(sessions(10, 10, START + 60 * DAY))  # under a key that no backup has
    behind = 2 * (RESERVED + 5 * later.TOGETHER)
    core.manifest.numbers("wifi", behind)
    core.ingest(sessions(10, 10, START))
    newest = core.manifest.head()
    core.server.append([core.manifest.overtake(newest._replace(version=newest.version + behind))])
    core.ingest(sessions(20, 10, START))
    require_whole(site.restore(), 30)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_server_that_withholds_what_the_backup_knows_is_caught(site: Site, compacted: bool) -> None:
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


def test_a_later_segment_of_which_a_cell_is_missing_or_damaged_is_told(site: Site) -> None:
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


def test_whoever_has_the_keys_of_the_core_cannot_put_another_in_place_of_a_later_one(site: Site) -> None:
    """The tag key and the cell key of the core are what an exported keyring has."""
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
        forged = forger.seal(page, Place("wifi", Group.CORE, tag), budget, name.row.summary.records)
        site.storage.cells[tag] = forged.cell.sealed
    core = site.restore()
    assert (site.adopted["cells"], site.adopted["unreadable"]) == (0, 2)
    require_whole(core, 10)


def test_what_one_of_the_last_two_backups_knows_stays_and_older_ones_are_told_to_lack_it(site: Site) -> None:
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


def test_what_was_removed_before_the_backup_is_not_brought_back(site: Site) -> None:
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


def test_periods_whose_keys_may_be_lost_are_named(site: Site) -> None:
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


def test_what_was_erased_after_the_backup_has_its_key_again_and_no_cells(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    core.erasing.erase(core.wifi, [EPOCH])
    core = site.restore()
    assert site.adopted["missing"] == 2
    core.erasing.erase(core.wifi, [EPOCH])
    assert (core.devices(), wrong(core), core.keyring.epochs("wifi")) == (set(), 0, [])


def test_a_proxy_waits_for_the_storage_server(site: Site) -> None:
    site.start().ingest(sessions(0, 10, START))
    site.back_up()
    site.lose()
    with site.storage.failing("select"), pytest.raises(ConfigurationError, match="cannot be asked for"):
        site.start()
    site.storage.lie = lambda cells: [*cells, pb.Cell(tag=bytes(16))]
    with pytest.raises(ConfigurationError, match="cannot be asked for"):
        site.start()
    site.storage.lie = list
    require_whole(site.start(), 10)
