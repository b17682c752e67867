"""What the storage server sees of maintenance, too, is a function of when (docs/LEAKAGE.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from privacyplease.proxy.compaction.collection import KEPT_MS
from privacyplease.proxy.compaction.compaction import Compaction, Scope
from privacyplease.proxy.lifecycle.disposal import Disposal
from privacyplease.proxy.lifecycle.erasing import Erasing
from privacyplease.proxy.lifecycle.erasures import Erasures
from privacyplease.proxy.lifecycle.renewing import Renewing
from privacyplease.proxy.lifecycle.verification import Verification
from privacyplease.proxy.records.budget import Budget
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.segments import rollups
from tests.leakage.worlds import BEGIN, WIFI, Cast, a_crowd, arrival, everybody, one_person, seen, tables, world
from tests.services.core import Core
from tests.services.fake_storage import RecordedCall

ARRIVAL = arrival(seed=9, batches=12, records=60)

# Roll-ups of small segments, for this test, need more room than those of large ones: a pair of device and place each.
ROOMY = replace(WIFI, budgets=WIFI.budgets | {"rollup": Budget(1_024, 64.0)})


class Maintained:
    """A core, and what maintains it."""

    def __init__(self, core: Core) -> None:
        self.late = 0
        self.core = core
        parts = core.store, core.manifest, core.keyring, core.server, core.cells, core.memory
        self.compaction = Compaction(*parts, clock=lambda: BEGIN / 1_000 + 40 * 86_400 + self.late)  # type: ignore[arg-type]
        disposal = Disposal(core.manifest, core.cells, core.server)  # type: ignore[arg-type]
        drains = core.writer.drain, [core.search.questions, self.compaction.jobs]
        self.erasing = Erasing(
            core.keyring, core.manifest, core.currency, disposal, Erasures(core.store), *drains, core.memory
        )
        self.renewing = Renewing(
            {"wifi": ROOMY}, core.keyring, core.manifest, core.currency, self.erasing, self.compaction.rewrite
        )

    def compact(self) -> None:
        list(self.compaction.compact(ROOMY, Scope(by_command=True)))

    def collect(self) -> None:
        self.compact()
        self.late = 400 * 86_400 + KEPT_MS // 1_000
        self.compaction.collect(ROOMY)

    def renew(self) -> None:
        self.renewing.renew(ROOMY, BEGIN // ROOMY.epoch)

    def erase(self) -> None:
        self.erasing.erase(ROOMY, [BEGIN // ROOMY.epoch])

    def verify(self) -> None:
        core = self.core
        verification = Verification(core.manifest, core.cells, core.server, core.search.questions)  # type: ignore[arg-type]
        for part in verification.parts(ROOMY, EVER):
            verification.check(part)


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
def test_who_and_where_shows_nowhere_in_maintenance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cast: Cast, work: Callable[[Maintained], None]
) -> None:
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    calls = traced(tmp_path / "a", monkeypatch, everybody, work)
    assert calls
    assert calls == traced(tmp_path / "b", monkeypatch, cast, work)
