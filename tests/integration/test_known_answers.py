"""The main job on real input: a real log goes in, and 80 questions with known answers come back right."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.known_answers import LARGE, ONE_DAY, questions, thirds, wrong_answers
from tests.services import command_line
from tests.services.stack import Stack, stack


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers over SQLite that hold the whole log."""
    questions()
    with stack(f"sqlite:///{tmp_path_factory.mktemp('whole')}/cells.db") as running:
        running.command("ingest", "wifi", str(LARGE))
        yield running


def test_every_known_answer_is_right_after_ingesting_once_and_twice_and_compaction(whole: Stack) -> None:
    assert wrong_answers(whole.client) == []
    whole.command("ingest", "wifi", str(LARGE))
    assert wrong_answers(whole.client) == []
    assert "merged into" in whole.command("compact", "--all")
    assert wrong_answers(whole.client) == []


def test_every_known_answer_is_right_with_the_log_in_three_files_in_any_order_and_again_in_one(
    mariadb_url: str, tmp_path: Path
) -> None:
    questions()
    parts = thirds(tmp_path)
    random.Random(mariadb_url).shuffle(parts)
    print("order:", [part.name for part in parts])
    with stack(mariadb_url) as running:
        for part in parts[:2]:
            running.command("ingest", "wifi", str(part))
        running.command("compact", "--all")
        running.command("ingest", "wifi", str(parts[2]))
        assert wrong_answers(running.client) == []
        running.command("ingest", "wifi", str(LARGE))
        assert wrong_answers(running.client) == []
        assert "merged into" in running.command("compact", "--all")
        assert wrong_answers(running.client) == []


def test_the_command_line_gives_known_answers(whole: Stack) -> None:
    for question in questions()[::8]:
        assert _ask(whole, question) == _expected(question)


def test_a_report_of_one_day_gives_the_same_answers_for_its_day_as_the_whole_log(whole: Stack, sqlite_url: str) -> None:
    with stack(sqlite_url) as day:
        day.command("ingest", "wifi", str(ONE_DAY))
        start = datetime.fromisoformat("2024-10-01T00:00:00+09:00")
        end = start + timedelta(days=1) - timedelta(seconds=1)
        assert day.client.count(start, end) > 0
        assert day.client.count(start, end) == whole.client.count(start, end)
        ranking = [list(running.client.count_by_place(start, end)) for running in (day, whole)]
        assert ranking[0] == ranking[1]
        series = [running.client.occupancy(start, end, timedelta(minutes=15)) for running in (day, whole)]
        assert series[0].to_arrow() == series[1].to_arrow()
        devices = {question["device"] for question in questions() if question["query"] == "presence"}
        for device in devices:
            found = [running.client.presence(device, start, end, purpose="test") for running in (day, whole)]
            assert found[0].sessions.to_arrow() == found[1].sessions.to_arrow()


def _ask(running: Stack, question: dict[str, object]) -> object:
    interval = "--from", str(question["start"]), "--to", str(question["end"])
    if question["query"] == "count":
        place = ["--place", str(question["access_point"])] if question["access_point"] else []
        return _told(running, "count", *interval, *place)
    found = _told(running, "presence", str(question["device"]), *interval, "--purpose", "test")
    places = sorted({session["place"] for session in found["sessions"]})
    return {"present": found["present"], "sessions": len(found["sessions"]), "access_points": places}


def _told(running: Stack, *arguments: str) -> Any:
    result = command_line.run(running.home, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def _expected(question: dict[str, object]) -> object:
    names = ("distinct_devices",) if question["query"] == "count" else ("present", "sessions", "access_points")
    return {name: question[name] for name in names}
