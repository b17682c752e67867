"""What `stations now` has to answer after a feed gave a response: the response itself, field by field."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from privacyplease.client import StationState
from tests.services import station_feeds

_ROOT = Path(__file__).parents[2]
_HOUR = 3_600_000

Answer = tuple[object, ...]


def real_responses() -> Path:
    """The folder of the real responses; skips the test where it is missing."""
    folder = Path(os.environ.get("PRIVACYPLEASE_DATA") or _ROOT.parent / "shared" / "data") / "bikes"
    if not folder.is_dir():
        pytest.skip(f"no real responses in {folder}: set PRIVACYPLEASE_DATA to the folder of the test data")
    return folder


def of_response(records: Iterable[dict[str, Any]]) -> list[Answer]:
    """A response of JCDecaux v1, whatever form its positions and booleans have; ascending by number."""
    return sorted(_of_record(record) for record in records)


def of_states(states: Iterable[StationState]) -> list[Answer]:
    """Typed rows of the SDK; ascending by number."""
    return sorted(
        (
            state.number,
            state.contract_name,
            state.name,
            state.address,
            state.latitude,
            state.longitude,
            state.banking,
            state.bonus,
            state.status,
            state.bike_stands,
            state.available_bikes,
            state.available_bike_stands,
            None if state.last_update is None else round(state.last_update.timestamp() * 1_000),
        )
        for state in states
    )


def generated_day(count: int = 2_400, polls: int = 8) -> list[tuple[int, list[dict[str, Any]]]]:
    """A day of a large contract: when it was polled, and the response. At each poll some stations have not changed."""
    last: list[dict[str, Any]] = []
    day = []
    for poll in range(polls):
        shift = poll * 24 // polls * _HOUR
        fresh: list[dict[str, Any]] = station_feeds.jcdecaux_v1(count, seed=poll)
        for record in fresh:
            record["last_update"] = record["last_update"] and record["last_update"] + shift
        last = [fresh[at] if not last or at % 3 == poll % 3 else last[at] for at in range(count)]
        day.append((station_feeds.MOMENT + shift + 120_000, last))
    return day


def _of_record(record: dict[str, Any]) -> Answer:
    position = record.get("position", record)
    return (
        str(record["number"]),
        record["contract_name"],
        record["name"],
        record["address"],
        position.get("lat"),
        position.get("lng"),
        bool(record["banking"]),
        bool(record["bonus"]),
        record["status"],
        record["bike_stands"],
        record["available_bikes"],
        record["available_bike_stands"],
        record["last_update"],
    )
