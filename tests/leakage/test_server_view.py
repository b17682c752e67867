"""What the storage server sees is a function of when, and of nothing else (docs/LEAKAGE.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacyplease.proxy.query import counting
from privacyplease.proxy.query.question import Question
from tests.leakage.worlds import (
    DAY,
    HOUR,
    MINUTE,
    WIFI,
    Cast,
    a_crowd,
    arrival,
    everybody,
    interval,
    one_person,
    seen,
    tables,
    world,
)
from tests.services.effort import tries
from tests.services.fake_storage import RecordedCall
from tests.services.read_write_core import ReadWriteCore

ARRIVAL = arrival(seed=7, batches=30, records=40)
LARGE = arrival(seed=8, batches=2, records=4_000)


def presence(core: ReadWriteCore, question: Question) -> object:
    return core.ask(question)


def count(core: ReadWriteCore, question: Question) -> object:
    with core.search.ask(question) as answer:
        return counting.count(question, answer, core.keyring)


KINDS = [presence, count]


def traced(folder: Path, monkeypatch: pytest.MonkeyPatch, cast: Cast, of: object = ARRIVAL) -> list[RecordedCall]:
    with world(folder, monkeypatch) as core:
        for table in tables(of, cast):  # type: ignore[arg-type]
            core.ingest(table, WIFI)
        return seen(core)


@pytest.mark.parametrize("of", [ARRIVAL, LARGE], ids=["small batches", "large batches"])
@pytest.mark.parametrize("cast", [one_person, a_crowd])
def test_arrivals_show_neither_who_nor_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cast: Cast, of: object
) -> None:
    """Lengths included: a batch of one device sent a thousand times looks like one of a thousand devices."""
    assert traced(tmp_path / "a", monkeypatch, everybody, of) == traced(tmp_path / "b", monkeypatch, cast, of)


spans = st.tuples(st.integers(-HOUR, 30 * HOUR), st.sampled_from([0, MINUTE, HOUR, 5 * HOUR, 3 * DAY]))
people = st.none() | st.integers(0, 2_000)
questions = st.lists(st.tuples(spans, people, people, people, people), min_size=1, max_size=12)


def ask_all(
    core: ReadWriteCore, asked: Sequence[tuple[tuple[int, int], int | None, int | None]], cast: Cast
) -> list[RecordedCall]:
    for number, (span, who, where) in enumerate(asked):
        subject = None if who is None else pa.scalar(cast(who)[0], pa.int64())
        place = None if where is None else pa.scalar(cast(where)[1])
        KINDS[number % len(KINDS)](core, Question(WIFI, interval(*span), subject, place))
    return seen(core)


@pytest.mark.parametrize("cache_bytes", [0, 40_000, 1 << 30], ids=["no cache", "small cache", "all cached"])
@settings(max_examples=tries(8, 25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=questions)
def test_sequences_of_questions_about_the_same_intervals_look_the_same(
    cache_bytes: int, asked: list[tuple[tuple[int, int], int | None, int | None, int | None, int | None]]
) -> None:
    """Whatever is cached: a cache that kept what was opened, and not what was fetched, would fail here."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        traces = []
        for name, (who, where) in {"a": (0, 1), "b": (2, 3)}.items():
            with world(Path(folder) / name, monkeypatch, cache_bytes) as core:
                for table in tables(ARRIVAL, a_crowd):
                    core.ingest(table, WIFI)
                seen(core)
                traces.append(ask_all(core, [(span, people[who], people[where]) for span, *people in asked], a_crowd))
        assert traces[0] == traces[1]


def test_what_is_asked_for_depends_on_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the tests above: another interval is visible, and so are arrivals."""
    with world(tmp_path / "a", monkeypatch) as core:
        for table in tables(ARRIVAL, everybody):
            core.ingest(table, WIFI)
        arrived = seen(core)
        presence(core, Question(WIFI, interval(0, HOUR)))
        presence(core, Question(WIFI, interval(10 * HOUR, HOUR)))
        first, second = seen(core)
    assert first.tags != second.tags
    assert sum(call.name == "append" for call in arrived) == len(ARRIVAL.batches)


def test_questions_may_be_widened_to_whole_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widened = replace(WIFI, whole_days=True)
    with world(tmp_path / "a", monkeypatch) as core:
        for table in tables(ARRIVAL, everybody):
            core.ingest(table, WIFI)
        seen(core)
        for hour in (1, 9, 20):
            core.ask(Question(widened, interval(hour * HOUR, HOUR)))
        calls = seen(core)
    assert len({call.tags for call in calls}) == 1
