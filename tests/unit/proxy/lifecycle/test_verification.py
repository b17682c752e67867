"""Everything that is wrong with the store is found, counted and located, and one fault does not hide another."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from privacyplease.proxy.lifecycle import verification
from privacyplease.proxy.lifecycle.verification import Finding
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.storage.v1 import storage_service_pb2 as pb
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import DAY, HOUR, LifecycleCore, sessions

START = 1_727_740_800_000  # 2024-10-01
DAYS = 6


@pytest.fixture
def filled(core: LifecycleCore, monkeypatch: pytest.MonkeyPatch) -> LifecycleCore:
    """A segment a day, the first two of them compacted, with a roll-up."""
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    for day in range(2):
        core.ingest(sessions(day * 20, 20, START + day * DAY))
    core.compact()
    core.collect(None)
    for day in range(2, DAYS):
        core.ingest(sessions(day * 20, 20, START + day * DAY))
    return core


def verified(core: LifecycleCore, interval: Interval = EVER) -> tuple[int, list[Finding]]:
    cells, findings = 0, list[Finding]()
    for part in core.verifier.chunks(core.wifi, interval):
        checked = core.verifier.check(part)
        cells += checked.cells
        findings += checked.findings
    return cells, findings


def wrong(core: LifecycleCore, interval: Interval = EVER) -> tuple[int, int, int]:
    """How many cells are missing, unexpected and damaged."""
    _, findings = verified(core, interval)
    missing = sum(finding.missing for finding in findings)
    return missing, sum(finding.unexpected for finding in findings), sum(finding.damaged for finding in findings)


def flipped(sealed: Sealed) -> Sealed:
    return Sealed(sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:])


def ordered(core: LifecycleCore) -> list[Tag]:
    return sorted(tag for tag in core.tags_of(core.rows()))


def test_an_intact_store_has_no_findings(filled: LifecycleCore) -> None:
    assert [row.settled for row in filled.rows() if Group.ROLLUP in row.groups] == [True]
    assert verified(filled) == (2 * (DAYS - 1) + 1, [])
    assert list(filled.verifier.chunks(filled.datasets["bikes"], EVER)) == []


Change = Callable[[dict[Tag, Sealed], list[Tag]], object]

CHANGES: dict[str, tuple[Change, tuple[int, int, int]]] = {
    "a cell is gone": (lambda cells, tags: cells.pop(tags[0]), (1, 0, 0)),
    "all are gone": (lambda cells, tags: cells.clear(), (2 * (DAYS - 1) + 1, 0, 0)),
    "a bit is flipped": (lambda cells, tags: cells.update({tags[0]: flipped(cells[tags[0]])}), (0, 0, 1)),
    "a cell is cut short": (lambda cells, tags: cells.update({tags[0]: Sealed(b"")}), (0, 0, 1)),
    "two are swapped": (
        lambda cells, tags: cells.update({tags[0]: cells[tags[1]], tags[1]: cells[tags[0]]}),
        (0, 0, 2),
    ),
    "a cell is under a tag of nobody's": (
        lambda cells, tags: cells.update({Tag(bytes(16)): cells[tags[0]]}),
        (0, 0, 0),
    ),
    "much is wrong": (
        lambda cells, tags: [cells.pop(tags[0]), cells.update({tag: flipped(cells[tag]) for tag in tags[2:5]})],
        (1, 0, 3),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("tags_a_part", [verification.CHUNK_TAGS, 3])
def test_every_change_in_the_store_is_counted(
    filled: LifecycleCore, storage: FakeStorage, change: str, tags_a_part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "CHUNK_TAGS", tags_a_part)
    act, expected = CHANGES[change]
    before = dict(storage.cells)
    act(storage.cells, ordered(filled))
    assert wrong(filled) == expected
    storage.cells = before
    assert wrong(filled) == (0, 0, 0)


LIES: dict[str, tuple[Callable[[list[pb.Cell]], list[pb.Cell]], tuple[int, int, int]]] = {
    "a cell twice": (lambda cells: [cells[0], *cells], (0, 1, 0)),
    "backwards": (lambda cells: cells[::-1], (0, 2 * (DAYS - 1), 0)),
    "a stray cell": (lambda cells: [*cells, pb.Cell(tag=bytes(16), sealed=cells[0].sealed)], (0, 1, 0)),
    "one in the place of another": (lambda cells: [cells[1], *cells[1:]], (1, 1, 0)),
    "nothing": (lambda cells: [], (2 * (DAYS - 1) + 1, 0, 0)),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_counted(filled: LifecycleCore, storage: FakeStorage, lie: str) -> None:
    storage.lie, expected = LIES[lie]
    assert wrong(filled) == expected


def test_a_finding_names_its_group_and_time(filled: LifecycleCore, storage: FakeStorage) -> None:
    row = filled.rows()[1]
    rest = filled.tags_of([row])[1]
    del storage.cells[rest]
    starts = Interval(row.summary.first, row.summary.last)
    assert verified(filled)[1] == [Finding("wifi", Group.REST, starts, missing=1, unexpected=0, damaged=0)]
    assert wrong(filled, Interval(START, START + DAY)) == (0, 0, 0)
    assert wrong(filled, Interval(starts.end, starts.end + HOUR)) == (1, 0, 0)
    storage.lie = lambda cells: [*cells, pb.Cell(tag=b"\xff" * 16)]
    stray, *_ = verified(filled)[1]
    assert (stray.group, stray.missing, stray.unexpected, stray.damaged) == (None, 0, 1, 0)


def test_a_chunk_is_of_bounded_size(filled: LifecycleCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "CHUNK_BYTES", 1)
    parts = list(filled.verifier.chunks(filled.wifi, EVER))
    assert [part.tags for part in parts] == [1] * (2 * (DAYS - 1) + 1)
    assert wrong(filled) == (0, 0, 0)


def test_segments_compacted_or_erased_during_verification_are_no_finding(filled: LifecycleCore) -> None:
    parts = list(filled.verifier.chunks(filled.wifi, EVER))
    filled.compact()
    filled.collect(None)
    assert [filled.verifier.check(part) for part in parts] == [(0, [])] * len(parts)
    parts = list(filled.verifier.chunks(filled.wifi, EVER))
    filled.eraser.erase(filled.wifi, filled.keyring.epochs("wifi"))
    assert [filled.verifier.check(part) for part in parts] == [(0, [])] * len(parts)


def test_ingest_during_verification_is_no_finding(filled: LifecycleCore) -> None:
    stopped = threading.Event()

    def ingest() -> None:
        while not stopped.is_set():
            filled.ingest(sessions(500, 5, START))

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        assert [wrong(filled) for _ in range(5)] == [(0, 0, 0)] * 5
    finally:
        stopped.set()
        thread.join()


def test_a_sent_segment_is_not_verified(filled: LifecycleCore) -> None:
    row: ManifestRow = filled.send(sessions(900, 5, START), cells=0)
    assert row.state is SegmentState.SENT
    assert wrong(filled) == (0, 0, 0)
