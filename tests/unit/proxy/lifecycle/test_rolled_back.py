"""A home that was rolled back answers nothing until an administrator decides; then it goes on, however often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from privacyplease.proxy.backup import archive as backups
from privacyplease.proxy.errors import RolledBackError
from privacyplease.proxy.lifecycle import later
from privacyplease.proxy.manifest.witnesses import FileWitness
from tests.services.proxy_core import sessions
from tests.services.site import Site, require_whole

START = 1_727_740_800_000  # 2024-10-01


def test_a_home_that_was_rolled_back_alone_is_found_at_the_next_question(site: Site) -> None:
    site.start().ingest(sessions(0, 10, START))
    roll_back = site.snapshot()
    site.start().ingest(sessions(10, 10, START))
    roll_back()
    core = site.start()
    with pytest.raises(RolledBackError):
        core.devices()
    with pytest.raises(RolledBackError):
        core.ingest(sessions(20, 10, START))


def test_the_newest_head_is_overtaken_however_far_behind_the_home_is(site: Site) -> None:
    """Of those that the server keeps, an older home knows but one to ask for at first."""
    site.start().ingest(sessions(0, 10, START))
    roll_back = site.snapshot()
    core = site.start()
    for number in range(1, 100):
        core.storage.append([core.manifest.overtake(core.manifest.head())])
        if number in (1, 2, 3, 6, 13, 39, 99):
            newest = core.manifest.head()
            roll_back()
            core = site.start()
            found = core.currency.newest_elsewhere()
            assert found == newest
            backups.accept(site.home)
            core = site.start()
            assert core.manifest.head().version == newest.version + 1
            core.currency.require()


def test_a_home_and_a_server_that_were_rolled_back_together_are_found_by_a_witness(site: Site, tmp_path: Path) -> None:
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
    core.send(sessions(20, 10, START), cells=0)  # what commits before a question is asked hides nothing
    core.settling.settle("wifi")
    with pytest.raises(RolledBackError):
        core.devices()


@pytest.mark.parametrize("together", [False, True])
def test_an_administrator_may_go_on_from_a_home_that_was_rolled_back(
    site: Site, tmp_path: Path, together: bool
) -> None:
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


def test_a_rolled_back_home_that_somebody_accepted_is_newer_than_the_one_that_was_left(site: Site) -> None:
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


class Crash(BaseException):
    """The end of the process."""


STEPS = {
    "before anything is adopted": ("privacyplease.proxy.manifest.manifest.Manifest.commit", 0),
    "after a part of it": ("privacyplease.proxy.manifest.manifest.Manifest.commit", 1),
    "before numbers go on": ("privacyplease.proxy.manifest.manifest.Manifest.skip_numbers", 0),
    "before those of the other data set do": ("privacyplease.proxy.manifest.manifest.Manifest.skip_numbers", 1),
    "before the backup is noted": ("privacyplease.proxy.backup.registry.finish_restored", 0),
    "before the head is newer": ("privacyplease.proxy.manifest.manifest.Manifest.overtake", 0),
    "before the head is published": ("tests.services.fake_storage.FakeStorage.append", 0),
    "before it is recorded": ("privacyplease.proxy.audit.log.AuditLog.record", 0),
    "before the marker is gone": ("pathlib.Path.unlink", 0),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_is_made_good(step: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    name, after = STEPS[step]
    monkeypatch.setattr(later, "_PART_BYTES", 1)
    core = site.start()
    core.ingest(sessions(0, 10, START))
    site.back_up()
    for first in (10, 20, 30):
        core.ingest(sessions(first, 10, START))
    site.lose()
    owner, _, method = name.rpartition(".")
    calls: list[str] = []
    with monkeypatch.context() as crashing:
        module, _, attribute = owner.rpartition(".")
        holder = getattr(__import__(module, fromlist=["_"]), attribute)
        real = getattr(holder, method)

        def crash_in_time(*given: Any, **more: Any) -> Any:
            calls.append(method)
            if len(calls) > after:
                raise Crash
            return real(*given, **more)

        crashing.setattr(holder, method, crash_in_time)
        with pytest.raises(Crash):
            site.start()
    core = site.start()
    require_whole(core, 40)
    core.ingest(sessions(40, 10, START))
    require_whole(site.start(), 50)
