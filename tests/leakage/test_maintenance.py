"""What the storage server sees of maintenance, too, is a function of when (docs/LEAKAGE.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from privacyplease.proxy.compaction.compactor import Compactor, Scope
from privacyplease.proxy.compaction.garbage_collection import KEPT_MS
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.key_renewal import KeyRenewal
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.lifecycle.verification import Verifier
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKeys
from privacyplease.proxy.records.budget import Budget
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.segments import rollups
from tests.leakage.worlds import BEGIN, WIFI, Cast, a_crowd, arrival, everybody, one_person, seen, tables, world
from tests.services.fake_storage import RecordedCall
from tests.services.read_write_core import ReadWriteCore

ARRIVAL = arrival(seed=9, batches=12, records=60)

# In this test roll-ups are of small segments, which need more room than those of large ones: a pair of device and place
# per record.
ROOMY = replace(WIFI, budgets=WIFI.budgets | {"rollup": Budget(1_024, 64.0)})


class Maintained:
    """A core, and what runs maintenance on it."""

    def __init__(self, core: ReadWriteCore) -> None:
        self.late = 0
        self.core = core
        parts = core.store, core.manifest, core.keyring, core.server, core.cells, core.cache
        self.compactor = Compactor(*parts, clock=lambda: BEGIN / 1_000 + 40 * 86_400 + self.late)  # type: ignore[arg-type]
        deleter = SegmentDeleter(core.manifest, core.cells, core.server)  # type: ignore[arg-type]
        drains = core.writer.drain, [core.search.questions, self.compactor.jobs]
        self.eraser = EpochEraser(
            core.keyring,
            core.manifest,
            core.rollback_check,
            deleter,
            ErasureLog(core.store),
            DestroyedKeys(core.manifest, core.server, core.keyring),  # type: ignore[arg-type]
            *drains,
            core.cache,
        )
        self.key_renewal = KeyRenewal(
            {"wifi": ROOMY}, core.keyring, core.manifest, core.rollback_check, self.eraser, self.compactor.rewrite
        )

    def compact(self) -> None:
        list(self.compactor.compact(ROOMY, Scope(by_command=True)))

    def collect(self) -> None:
        self.compact()
        self.late = 400 * 86_400 + KEPT_MS // 1_000
        self.compactor.collect(ROOMY)

    def renew(self) -> None:
        self.key_renewal.renew(ROOMY, BEGIN // ROOMY.epoch)

    def erase(self) -> None:
        self.eraser.erase(ROOMY, [BEGIN // ROOMY.epoch])

    def verify(self) -> None:
        core = self.core
        verifier = Verifier(core.manifest, core.cells, core.server, core.search.questions)  # type: ignore[arg-type]
        for chunk in verifier.chunks(ROOMY, EVER):
            verifier.check(chunk)


def traced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cast: Cast, work: Callable[[Maintained], None]
) -> list[RecordedCall]:
    with world(folder, monkeypatch) as core:
        for table in tables(ARRIVAL, cast):
            core.ingest(table, ROOMY)
        seen(core)
        work(Maintained(core))
        return seen(core)


@pytest.mark.parametrize(
    "work", [Maintained.compact, Maintained.collect, Maintained.renew, Maintained.erase, Maintained.verify]
)
@pytest.mark.parametrize("cast", [one_person, a_crowd])
def test_maintenance_shows_neither_who_nor_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cast: Cast, work: Callable[[Maintained], None]
) -> None:
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    calls = traced(tmp_path / "a", monkeypatch, everybody, work)
    assert calls
    assert calls == traced(tmp_path / "b", monkeypatch, cast, work)
