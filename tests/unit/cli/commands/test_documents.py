"""Answers of commands as --json prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from privacyplease.cli.commands import count, explain, occupancy, places, presence, status, verify
from privacyplease.cli.output.counts import count_text
from privacyplease.client import (
    Count,
    ExplainedCell,
    Explanation,
    Finding,
    Occupancy,
    Peak,
    PlaceCounts,
    Presence,
    Series,
    Sessions,
    Verification,
)

EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
EIGHT_MS = 1_727_769_600_000


def test_presence_as_json() -> None:
    sessions = Sessions(("ap-1", "ap-2"), (EIGHT_MS, EIGHT_MS + 1), (EIGHT_MS, EIGHT_MS + 45_000))
    assert presence.as_document(Presence("aa:bb", True, sessions)) == {
        "device": "aa:bb",
        "present": True,
        "sessions": [
            {"place": "ap-1", "start": "2024-10-01T08:00:00Z", "end": "2024-10-01T08:00:00Z"},
            {"place": "ap-2", "start": "2024-10-01T08:00:00.001Z", "end": "2024-10-01T08:00:45Z"},
        ],
    }


def test_absence_as_json() -> None:
    absent = Presence("aa:bb", False, Sessions((), (), ()))
    assert presence.as_document(absent) == {"device": "aa:bb", "present": False, "sessions": []}


def test_occupancy_as_json() -> None:
    found = Occupancy(Peak(EIGHT, 40), Series(EIGHT, timedelta(minutes=15), (40, 12)))
    assert occupancy.as_document(found) == {
        "peak": {"at": "2024-10-01T08:00:00Z", "distinct_devices": 40},
        "series": [
            {"at": "2024-10-01T08:00:00Z", "distinct_devices": 40},
            {"at": "2024-10-01T08:15:00Z", "distinct_devices": 12},
        ],
    }


def test_an_estimate_is_marked_and_has_bounds() -> None:
    estimate = Count(90_000, at_least=89_300, at_most=90_700)
    assert count_text(estimate) == "≈ 90,000 distinct devices (89,300 to 90,700)"
    assert count.as_document(estimate) == {
        "distinct_devices": 90_000,
        "at_least": 89_300,
        "at_most": 90_700,
    }
    assert count_text(Count(1)) == "1 distinct device"
    assert count.as_document(Count(1)) == {"distinct_devices": 1}


def test_places_as_json() -> None:
    assert places.as_document(PlaceCounts(("ap-1",), (3,))) == {"places": [{"place": "ap-1", "distinct_devices": 3}]}


FINDING = Finding("wifi", "core", EIGHT, EIGHT + timedelta(hours=1), 1_200, 0, 1)


def test_a_verification_as_json() -> None:
    document = verify.as_document(Verification(tags=24, cells=1_300, findings=(FINDING, FINDING)))
    assert document["findings"][1] == {
        "dataset": "wifi",
        "group": "core",
        "first_start": "2024-10-01T08:00:00Z",
        "last_start": "2024-10-01T09:00:00Z",
        "missing": 1_200,
        "unexpected": 0,
        "damaged": 1,
    }
    del document["findings"]
    assert document == {"sound": False, "cells": 1_300, "tags": 24, "missing": 2_400, "unexpected": 0, "damaged": 2}


CELL = ExplainedCell(b"\x01" * 16, b"\x02" * 64, 1_280, 9, 4, False)
EXPLANATION = Explanation(
    tags=1,
    first_tags=(CELL.tag,),
    cells=1,
    bytes=1_280,
    first_cells=(CELL,),
    records_opened=9,
    records_kept=4,
    records_distinct=3,
    answer=Count(2),
    rollup_tags=0,
    rollup_cells=0,
    sketches_opened=0,
    sketches_kept=0,
)


def test_an_explanation_as_json() -> None:
    document = explain.as_document(EXPLANATION)
    assert document["first_cells"] == [
        {"tag": "01" * 16, "head": "02" * 64, "size": 1_280, "records_opened": 9, "records_kept": 4, "rollup": False}
    ]
    assert (document["records_opened"], document["records_kept"], document["records_distinct"]) == (9, 4, 3)
    assert document["answer"] == 2


def test_an_explanation_counts_duplicate_records_once(capsys: pytest.CaptureFixture[str]) -> None:
    explain._show(EXPLANATION, "session")
    assert "9 records, 4 of them for the answer, 3 distinct" in capsys.readouterr().out


def test_status_shows_manifest_counts_only_if_they_are_not_zero() -> None:
    calm = {"version": 1_200, "live_segments": 3}
    calm |= dict.fromkeys(("retired_segments", "unsettled_segments", "outgrown_cells"), 0)
    assert list(status._manifest_lines(calm | {"witnesses": 0, "witness_failures": 0})) == [
        "        3 segments, in version 1,200 of the manifest"
    ]
    troubled = calm | {"retired_segments": 2, "unsettled_segments": 1, "outgrown_cells": 4}
    assert list(status._manifest_lines(troubled | {"witnesses": 2, "witness_failures": 1})) == [
        "        3 segments, 2 retired, 1 unsettled, in version 1,200 of the manifest",
        "        4 cells outgrown: raise bytes_per_record of the data set",
        "head    kept by 2 witnesses; 1 failed attempt to reach one",
    ]


def test_a_sound_store_as_json() -> None:
    assert verify.as_document(Verification(tags=24, cells=3, findings=()))["sound"] is True
