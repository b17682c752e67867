"""Every fault of the store is found, counted and located, and no fault hides another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import grpc
import pytest

from privacyplease.proxy.lifecycle import verification
from privacyplease.proxy.manifest.head import HEAD_BYTES
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.proxy.v1 import verification_service_pb2 as pb
from tests.services.cells import refusal
from tests.services.deception import deception
from tests.services.lying_server import LIES, lying
from tests.services.proxy import Proxied, interval, proxying
from tests.services.storage import serving
from tests.services.tampering import Database, Row

START, HOUR = 1_727_769_600_000, 3_600_000
HOURS = 6
FIRST = (START, START + HOUR - 1)


class Stored(NamedTuple):
    """A proxy with sessions in each of some hours, and the database behind its storage server."""

    proxy: Proxied
    database: Database

    def fill(self, hours: range) -> None:
        """Ingests sessions of several devices, each hour in a segment of its own."""
        for hour in hours:
            records = [_session(device, START + hour * HOUR) for device in range(20)]
            assert self.proxy.ingest("wifi", records)[0].accepted == len(records)

    def cells(self) -> list[Row]:
        """The rows of segments' cells, which are larger than heads."""
        return [row for row in self.database.rows() if row.sealed_bytes > HEAD_BYTES]

    def change(self, cells: list[Row]) -> None:
        """Makes these the only rows, besides the heads."""
        heads = [row for row in self.database.rows() if row.sealed_bytes <= HEAD_BYTES]
        self.database.restore([*heads, *cells])


@pytest.fixture
def stored(tmp_path: Path, storage_url: str) -> Iterator[Stored]:
    database = Database(storage_url)
    with serving(storage_url) as storage, proxying(tmp_path / "home", storage.address) as proxy:
        stored = Stored(proxy, database)
        stored.fill(range(HOURS))
        yield stored
    database.close()


def verified(proxy: Proxied, **request: Any) -> tuple[list[pb.VerificationFinding], pb.VerificationSummary]:
    """The findings; progress must grow up to the total and agree with the summary."""
    events = list(proxy.verification.Verify(pb.VerifyRequest(**request)))
    progress = [event.progress for event in events if event.HasField("progress")]
    findings = [event.finding for event in events if event.HasField("finding")]
    summary = events[-1].summary
    assert [event.WhichOneof("event") for event in events].index("summary") == len(events) - 1
    assert [step.tags for step in progress] == sorted({step.tags for step in progress})
    if progress:
        assert (progress[-1].tags, progress[-1].cells) == (progress[-1].tags_total, summary.cells)
    for field in ("missing", "unexpected", "damaged"):
        assert sum(getattr(finding, field) for finding in findings) == getattr(summary, field)
    return findings, summary


def wrong(proxy: Proxied, **request: Any) -> tuple[int, int, int]:
    """How many cells are missing, unexpected and damaged."""
    _, summary = verified(proxy, **request)
    return summary.missing, summary.unexpected, summary.damaged


def _session(device: int, at: int) -> dict[str, Any]:
    return {"client_mac": f"00:00:00:00:00:{device:02x}", "ap_name": f"ap-{device % 5}"} | {
        "association_time": datetime.fromtimestamp(at / 1_000 + device, UTC).isoformat(),
        "session_duration": "60",
    }


def _flipped(row: Row) -> Row:
    return row._replace(sealed=row.sealed[:40] + bytes([row.sealed[40] ^ 1]) + row.sealed[41:])


def test_a_sound_store_has_no_findings(stored: Stored) -> None:
    findings, summary = verified(stored.proxy)
    assert findings == []
    assert summary.cells == len(stored.cells()) == 2 * HOURS
    assert wrong(stored.proxy, dataset="bikes") == (0, 0, 0)


CHANGES: dict[str, tuple[Callable[[list[Row]], list[Row]], tuple[int, int, int]]] = {
    "a row is deleted": (lambda rows: rows[1:], (1, 0, 0)),
    "all rows are deleted": (lambda rows: [], (-1, 0, 0)),
    "a bit is flipped": (lambda rows: [_flipped(rows[0]), *rows[1:]], (0, 0, 1)),
    "a cell is moved to another tag": (
        lambda rows: [rows[0], rows[1]._replace(sealed=rows[0].sealed, sealed_bytes=rows[0].sealed_bytes), *rows[2:]],
        (0, 0, 1),
    ),
    "a cell is under a tag of nobody's": (lambda rows: [*rows, rows[0]._replace(tag=bytes(16))], (0, 0, 0)),
    "much is wrong": (lambda rows: [*map(_flipped, rows[2:5]), *rows[5:]], (2, 0, 3)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_in_the_database_are_counted(stored: Stored, change: str) -> None:
    changed, (missing, unexpected, damaged) = CHANGES[change]
    rows = stored.cells()
    stored.change(changed(rows))
    assert wrong(stored.proxy) == (missing if missing >= 0 else len(rows), unexpected, damaged)
    stored.change(rows)
    assert wrong(stored.proxy) == (0, 0, 0)


def test_an_older_dump_lacks_later_cells(stored: Stored) -> None:
    dump = stored.cells()
    stored.fill(range(HOURS, HOURS + 2))
    lacking = len(stored.cells()) - len(dump)
    stored.change(dump)
    findings, summary = verified(stored.proxy)
    assert (summary.missing, summary.unexpected, summary.damaged) == (lacking, 0, 0)
    assert {finding.first_start.ToMilliseconds() for finding in findings} == {
        START + hour * HOUR for hour in (HOURS, HOURS + 1)
    }


def test_findings_say_where_the_damage_is(stored: Stored) -> None:
    before = set(stored.cells())
    stored.fill(range(HOURS, HOURS + 1))
    rows = stored.cells()
    stored.change([row for row in rows if row in before])
    last = (START + HOURS * HOUR, START + HOURS * HOUR + 19_000)
    findings, _ = verified(stored.proxy)
    assert [(finding.dataset, finding.group) for finding in findings] == [("wifi", "core"), ("wifi", "rest")]
    for finding in findings:
        assert (finding.first_start.ToMilliseconds(), finding.last_start.ToMilliseconds()) == last
    assert wrong(stored.proxy, interval=interval(*FIRST)) == (0, 0, 0)
    assert wrong(stored.proxy, interval=interval(*last)) == (len(rows) - len(before), 0, 0)
    assert wrong(stored.proxy, dataset="bikes") == (0, 0, 0)


def test_many_cells_are_requested_in_several_parts(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = stored.cells()
    stored.change([_flipped(rows[0]), *rows[2:]])
    monkeypatch.setattr(verification, "PART_TAGS", 3)
    findings, summary = verified(stored.proxy)
    assert (summary.cells, summary.missing, summary.damaged) == (len(rows) - 1, 1, 1)
    assert findings


def test_records_can_be_ingested_meanwhile(stored: Stored) -> None:
    stopped = threading.Event()

    def ingest() -> None:
        while not stopped.wait(0.005):
            stored.fill(range(HOURS))

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        assert [wrong(stored.proxy) for _ in range(5)] == [(0, 0, 0)] * 5
    finally:
        stopped.set()
        thread.join()


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_a_finding(lie: str, tmp_path: Path, sqlite_url: str) -> None:
    with (
        serving(sqlite_url) as storage,
        lying(storage.stub, Random(7)) as liar,
        proxying(tmp_path / "home", liar.address) as proxy,
    ):
        for hour in range(HOURS):
            proxy.ingest("wifi", [_session(device, START + hour * HOUR) for device in range(20)])
            liar.acknowledge()
        assert wrong(proxy) == (0, 0, 0)
        for _ in range(5):
            liar.lie, liar.lied = lie, False
            found = wrong(proxy)
            while not liar.lied:  # there was nothing older to bring back
                found = wrong(proxy)
            assert any(found)
        assert wrong(proxy) == (0, 0, 0)


def test_refused_answers_are_counted_by_reason(tmp_path: Path) -> None:
    with deception(tmp_path, 20_241_002) as deceived:
        outcome = deceived.ask(lies=40, honest=20)
        answers = deceived.status().answers
    expected: dict[str, int] = {}
    for (_, reason), times in outcome.detected.items():
        expected[reason.removeprefix("DATA_LOSS ")] = expected.get(reason.removeprefix("DATA_LOSS "), 0) + times
    counted = {
        reasons.ErrorReason.Name(each.reason).removeprefix("ERROR_REASON_"): each.answers for each in answers.refused
    }
    assert counted == expected
    assert answers.whole >= 1  # cells in memory are not fetched again


def test_an_unknown_dataset_is_refused(stored: Stored) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        verified(stored.proxy, dataset="trains")
    status, info, _ = refusal(raised.value)
    assert (status, info.reason) == (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_UNKNOWN_DATASET")
