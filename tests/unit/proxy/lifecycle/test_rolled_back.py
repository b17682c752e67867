"""A home that was rolled back answers nothing until an administrator accepts it; then it continues, however often."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.backup import archive as backups
from privacyplease.proxy.backup import registry
from privacyplease.proxy.errors import RolledBackError
from privacyplease.proxy.lifecycle import segment_discovery
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.witnesses import FileWitness
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import sessions
from tests.services.simulated_crash import crashing
from tests.services.site import Site, require_whole

START = 1_727_740_800_000  # 2024-10-01


def test_a_rolled_back_home_is_detected_at_the_next_question_or_batch(site: Site) -> None:
    site.start().ingest(sessions(0, 10, START))
    roll_back = site.snapshot()
    site.start().ingest(sessions(10, 10, START))
    roll_back()
    core = site.start()
    with pytest.raises(RolledBackError):
        core.devices()
    with pytest.raises(RolledBackError):
        core.ingest(sessions(20, 10, START))


def test_an_accepted_home_overtakes_the_newest_head_however_far_behind_it_is(site: Site) -> None:
    """Of the heads that the server keeps, an older home may at first know only one to ask for."""
    site.start().ingest(sessions(0, 10, START))
    roll_back = site.snapshot()
    core = site.start()
    for number in range(1, 100):
        core.storage.append([core.manifest.overtake(core.manifest.head())])
        if number in (1, 2, 3, 6, 13, 39, 99):
            newest = core.manifest.head()
            roll_back()
            core = site.start()
            assert core.rollback_check.newest_elsewhere() == newest
            backups.accept(site.home)
            core = site.start()
            assert core.manifest.head().version == newest.version + 1
            core.rollback_check.require_newest()


def test_a_witness_exposes_a_home_and_a_server_that_were_rolled_back_together(site: Site, tmp_path: Path) -> None:
    (folder := tmp_path / "witness").mkdir()
    site.witnesses = [FileWitness(folder)]
    site.start().ingest(sessions(0, 10, START))
    roll_back, cells = site.snapshot(), dict(site.storage.cells)
    core = site.start()
    for first in range(10, 50, 10):
        core.ingest(sessions(first, 10, START))
    roll_back()
    site.storage.cells = cells
    core = site.start()
    core.send(sessions(20, 10, START), cells=0)  # commits before the first question hide nothing
    core.flush_recovery.recover("wifi")
    with pytest.raises(RolledBackError):
        core.devices()


@pytest.mark.parametrize("together", [False, True])
def test_an_accepted_home_continues_with_what_came_later(site: Site, tmp_path: Path, together: bool) -> None:
    (folder := tmp_path / "witness").mkdir()
    site.witnesses = [FileWitness(folder)]
    site.start().ingest(sessions(0, 10, START))
    roll_back, cells = site.snapshot(), dict(site.storage.cells)
    site.start().ingest(sessions(10, 10, START))
    roll_back()
    if together:
        site.storage.cells = cells
    with pytest.raises(RolledBackError):
        site.start().devices()
    assert list(backups.accept(site.home)) == ["made_at"]
    core = site.start()
    require_whole(core, 10 if together else 20)
    assert site.adopted["cells"] == (0 if together else 2)
    core.ingest(sessions(20, 10, START))
    assert core.devices() >= set(range(20, 30))
    assert site.start().devices() >= set(range(20, 30))


def test_an_accepted_home_is_newer_than_the_one_that_it_replaces(site: Site) -> None:
    site.start().ingest(sessions(0, 10, START))
    roll_back = site.snapshot()
    site.start().ingest(sessions(10, 10, START))
    bring_back = site.snapshot()
    roll_back()
    backups.accept(site.home)
    site.start()
    bring_back()
    with pytest.raises(RolledBackError):
        site.start().devices()


STEPS: dict[str, tuple[object, str, int]] = {
    "before a newer segment is added": (Manifest, "commit", 0),
    "after some of them are added": (Manifest, "commit", 1),
    "before numbers skip to a new range": (Manifest, "skip_numbers", 0),
    "before those of the other data set do": (Manifest, "skip_numbers", 1),
    "before the backup is recorded": (registry, "finish_restored", 0),
    "before the head is newer": (Manifest, "overtake", 0),
    "before the head is published": (FakeStorage, "append", 0),
    "before the audit log has it": (AuditLog, "record", 0),
    "before the marker is deleted": (Path, "unlink", 0),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_that_crashed_at_any_step_is_finished(step: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, method, after = STEPS[step]
    monkeypatch.setattr(segment_discovery, "_CHUNK_BYTES", 1)
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    for first in (10, 20, 30):
        core.ingest(sessions(first, 10, START))
    site.lose()
    with crashing(owner, method, after=after):
        site.start()
    core = site.start()
    require_whole(core, 40)
    core.ingest(sessions(40, 10, START))
    require_whole(site.start(), 50)
