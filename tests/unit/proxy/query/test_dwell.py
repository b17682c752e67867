"""How long people stay, compared with the simplest way to compute it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from privacyplease.proxy.query.dwell import Dwell, dwell
from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.timeline import Interval
from tests.services.segments import hit_of

WIFI = dataset.load()["wifi"]
MINUTE = 60_000
NOON = Interval(600 * MINUTE, 660 * MINUTE)


def hit(*sessions: tuple[int, str, int, int]) -> Hit:
    names = [WIFI.subject, WIFI.place, WIFI.start, WIFI.duration]
    fields = [WIFI.schema.field(name) for name in names]
    columns = zip(*sessions, strict=True) if sessions else [()] * 4
    minutes = [[value * MINUTE for value in c] if at > 1 else c for at, c in enumerate(columns)]
    records = pa.table([pa.array(c, f.type) for c, f in zip(minutes, fields, strict=True)], schema=pa.schema(fields))
    return hit_of(records, WIFI)


def test_a_session_falls_into_the_class_that_begins_at_its_length() -> None:
    found = dwell([hit((1, "a", 600, 0), (2, "a", 600, 5), (3, "a", 610, 7))], WIFI, NOON, [5 * MINUTE, 10 * MINUTE])
    assert found == Dwell([1, 2, 0], 5 * MINUTE, 0, 3)


def test_lengths_are_of_whole_sessions_and_only_the_longest_form_counts() -> None:
    reported = hit((1, "a", 590, 11), (1, "a", 590, 90))
    assert dwell([reported], WIFI, NOON, [60 * MINUTE]) == Dwell([0, 1], 90 * MINUTE, 0, 1)


@pytest.mark.parametrize(
    ("before", "returning"),
    [((1, "a", 500, 10), 1), ((1, "b", 599, 0), 1), ((2, "a", 500, 10), 0), ((1, "a", 590, 5), 0)],
    ids=["another session", "just before", "another device", "a shorter form of the same session"],
)
def test_a_device_returns_if_it_had_another_session_before(before: tuple[int, str, int, int], returning: int) -> None:
    found = dwell([hit(before), hit((1, "a", 590, 30), (1, "c", 640, 30))], WIFI, NOON, [])
    assert (found.returning_devices, found.new_devices) == (returning, 1 - returning)
    assert found.sessions == [2]


def test_no_records_give_an_empty_answer() -> None:
    assert dwell([], WIFI, NOON, [MINUTE]) == Dwell([0, 0], None, 0, 0)
