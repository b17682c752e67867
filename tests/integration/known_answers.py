"""The questions with known answers that come with the real data, and how to ask them."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from privacyplease.client import Client

DATA = Path(os.environ.get("PRIVACYPLEASE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
LARGE = DATA / "wifi" / "client_sessions.csv.gz"
ONE_DAY = DATA / "wifi" / "client_sessions_2024-10-01_preamble.csv"


def questions() -> list[dict[str, Any]]:
    """The 80 questions with their answers; skips the test where the data is not on this machine."""
    if not DATA.is_dir():
        pytest.skip(f"no data: expected it in {DATA}; PRIVACYPLEASE_DATA names another folder")
    answers: list[dict[str, Any]] = json.loads((DATA / "wifi" / "answers.json").read_text())["answers"]
    return answers


def wrong_answers(client: Client) -> list[dict[str, Any]]:
    """The questions that the proxy answers otherwise than the plaintext does."""
    asked = questions()
    assert len(asked) == 80
    return [question for question in asked if not _is_right(client, question)]


def thirds(folder: Path) -> list[Path]:
    """The large log cut into three files, each with the header; skips the test where it is not on this machine."""
    questions()
    with gzip.open(LARGE, "rt", newline="") as log:
        header, *lines = log.readlines()
    parts = [folder / f"part-{number}.csv" for number in range(3)]
    for number, part in enumerate(parts):
        part.write_text(header + "".join(lines[number::3]))
    return parts


def _is_right(client: Client, question: dict[str, Any]) -> bool:
    start, end = (datetime.fromisoformat(question[name]) for name in ("start", "end"))
    if question["query"] == "count":
        return client.count(start, end, place=question["access_point"]) == question["distinct_devices"]
    found = client.presence(question["device"], start, end, purpose="test")
    places = sorted({session.place for session in found.sessions})
    expected = question["present"], question["sessions"], question["access_points"]
    return (found.present, len(found.sessions), places) == expected
