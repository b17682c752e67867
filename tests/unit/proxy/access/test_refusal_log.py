import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from privacyplease.proxy.access.refusal_log import MOST_SINGLE_LINES, WINDOW_SECONDS, Entry, RefusalLog
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.errors import AuditUnavailableError
from tests.services.audit_log import LogFolder
from tests.services.polling import eventually

DENIED: Entry = {"who": "mallory", "rpc": "PresenceService/FindSessions", "reason": "PERMISSION_DENIED"}


class Refusing:
    """A record of refusals, its log and its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = LogFolder(folder)
        self.log = self.folder.open()
        self.seconds = 0.0
        self.refusals = RefusalLog(self.log, clock=lambda: self.seconds)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.folder.lines()]


@pytest.fixture
def refusing(tmp_path: Path) -> Refusing:
    return Refusing(tmp_path)


def test_a_flood_of_refusals_is_a_few_lines_a_minute(refusing: Refusing) -> None:
    for minute in range(3):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: refusing.refusals.record(DENIED), range(2_000)))
        refusing.seconds = (minute + 1) * WINDOW_SECONDS
        refusing.refusals.flush()
    entries = refusing.entries()
    assert len(entries) == 3 * (MOST_SINGLE_LINES + 1)
    assert sum(entry.get("count", 1) for entry in entries) == 6_000
    assert refusing.log.verify().findings == []


def test_a_count_has_its_times_and_what_the_refusals_have_in_common(refusing: Refusing) -> None:
    for number in range(MOST_SINGLE_LINES + 5):
        refusing.refusals.record({**DENIED, "for": f"user-{number}", "dataset": "wifi"})
    refusing.refusals.flush(least_seconds=0)
    *single, counted = refusing.entries()
    assert [entry["for"] for entry in single] == [f"user-{number}" for number in range(MOST_SINGLE_LINES)]
    assert counted.items() >= {"event": "refused", "dataset": "wifi", "count": 5, **DENIED}.items()
    assert "for" not in counted
    assert single[-1]["at"] <= counted["first"] <= counted["last"] <= counted["at"]


def test_each_caller_rpc_and_reason_has_lines_of_its_own(refusing: Refusing) -> None:
    kinds: list[Entry] = [
        DENIED,
        {**DENIED, "who": "eve"},
        {**DENIED, "rpc": "QueryService/Query"},
        {**DENIED, "reason": "OTHER"},
    ]
    for kind in kinds * MOST_SINGLE_LINES:
        refusing.refusals.record(kind)
    assert len(refusing.entries()) == len(kinds) * MOST_SINGLE_LINES
    refusing.refusals.flush(least_seconds=0)
    assert len(refusing.entries()) == len(kinds) * MOST_SINGLE_LINES


def test_counts_are_written_after_a_minute_and_when_the_proxy_stops(refusing: Refusing) -> None:
    refusing.refusals.start()
    for _ in range(MOST_SINGLE_LINES + 7):
        refusing.refusals.record(DENIED)
    refusing.seconds = WINDOW_SECONDS
    assert eventually(lambda: refusing.entries()[-1].get("count") == 7)
    for _ in range(MOST_SINGLE_LINES + 2):
        refusing.refusals.record(DENIED)
    refusing.refusals.stop()
    assert refusing.entries()[-1]["count"] == 2


def test_counts_that_cannot_be_written_are_kept(refusing: Refusing) -> None:
    for _ in range(MOST_SINGLE_LINES + 1):
        refusing.refusals.record(DENIED)
    folder = refusing.folder.folder
    folder.rename(folder.with_name("kept"))
    with pytest.raises(AuditUnavailableError):
        refusing.refusals.flush(least_seconds=0)
    refusing.refusals.record(DENIED)
    folder.with_name("kept").rename(folder)
    refusing.refusals.flush(least_seconds=0)
    assert refusing.entries()[-1]["count"] == 2


def test_on_a_full_disk_refusals_are_only_counted(refusing: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuditLog, "full", True)
    for _ in range(5):
        refusing.refusals.record(DENIED)
    assert refusing.entries() == []
    monkeypatch.setattr(AuditLog, "full", False)
    refusing.refusals.flush(least_seconds=0)
    assert [entry["count"] for entry in refusing.entries()] == [5]


def test_questions_that_need_no_line_are_one_line_a_minute_for_each_who_asks(refusing: Refusing) -> None:
    questions = RefusalLog(refusing.log, clock=lambda: refusing.seconds, event="counted", most_single=0)
    for number in range(1_000):
        questions.record({"who": "dashboard", "for": f"user-{number % 2}", "rpc": "OccupancyService/Count"})
    assert refusing.entries() == []
    refusing.seconds = WINDOW_SECONDS
    questions.flush()
    assert [(entry["event"], entry["for"], entry["count"]) for entry in refusing.entries()] == [
        ("counted", "user-0", 500),
        ("counted", "user-1", 500),
    ]
