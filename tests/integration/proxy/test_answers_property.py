"""Whatever was reported and whatever is asked, the answers are those of a plain filter over the plaintext.

Through real gRPC, a real proxy and a real storage server; from memory, and from the server each time. Each example
takes a data set of its own, so that none sees the records of another; they differ in how they divide time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from privacyplease.proxy.records.timeline import LATEST
from privacyplease.proxy.v1 import occupancy_service_pb2, presence_service_pb2
from tests.services.effort import tries
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import serving

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

EXAMPLES = tries(25, 80)
# The usual; epochs narrower than many sessions; questions that are widened to whole days.
DIVISIONS = ["epoch_days = 30", "epoch_days = 1", 'epoch_days = 30\nprefetch = "day"']

# From this number on, data sets are those of the tests that are no examples; they differ as the divisions do.
APART = 2 * EXAMPLES + -2 * EXAMPLES % len(DIVISIONS)

DEFINITION = """
name = "d{number}"
title = "Example {number}"
{division}
subject = "who"
place = "where"
start = "since"
duration = "span"
[columns]
who = "{who}"
where = "string"
since = "timestamp"
span = "duration"
note = "string"
"""

DEVICES = ["00:00:00:00:00:01", "aa:bb:cc:dd:ee:ff", "ff:ff:ff:ff:ff:ff", "12:34:56:78:9a:bc"]
PLACES = ["ap-1", "ap-2", "北陸 > Café"]


class Form(NamedTuple):
    """One report of a session."""

    who: str
    where: str
    since: int
    span: int
    note: str


# Around 2024, around the edges of days and epochs there, at both ends of time, and ±1 ms of all that.
anchors = st.sampled_from([666 * 30 * DAY, 20_000 * DAY, 20_000 * DAY + 8 * HOUR, 479_999 * HOUR, 0, LATEST - DAY])
offsets = st.sampled_from([-DAY, -HOUR, -1, 0, 1, 10 * MINUTE, HOUR, HOUR + 1, DAY, 3 * DAY]) | st.integers(0, 3 * DAY)
instants = st.builds(lambda anchor, offset: min(max(anchor + offset, 0), LATEST), anchors, offsets)
spans = st.sampled_from(
    [0, 1, HOUR - 1, HOUR, HOUR + 1, 8 * HOUR, 8 * HOUR + 1, DAY, 64 * HOUR + 1, 40 * DAY, 400 * DAY, 30 * 365 * DAY]
) | st.integers(0, 2 * DAY)

forms = st.builds(
    lambda who, where, since, span, text: Form(who, where, since, min(span, LATEST - since), text),
    st.sampled_from(DEVICES),
    st.sampled_from(PLACES),
    instants,
    st.just(0) | spans,
    st.sampled_from(["", "a", "b"]),
)


@st.composite
def reports(draw: st.DrawFn) -> list[list[Form]]:
    """Batches of reports. Some sessions are reported again, shorter or longer, in any batch."""
    first = draw(st.lists(forms, max_size=12))
    again = [
        form._replace(span=min(span, LATEST - form.since), note=note)
        for form in first
        for span, note in draw(st.lists(st.tuples(spans, st.sampled_from(["", "c"])), max_size=2))
    ]
    shuffled = draw(st.permutations(first + again))
    cut = draw(st.integers(0, len(shuffled)))
    return [batch for batch in (shuffled[:cut], shuffled[cut:]) if batch]


@st.composite
def questions(draw: st.DrawFn) -> tuple[int, int]:
    """Closed intervals: an instant, a boundary, a part of the time, or all of it."""
    start, end = sorted((draw(instants), draw(instants)))
    return draw(st.sampled_from([(start, end), (start, start), (start, min(start + 1, LATEST)), (0, LATEST)]))


@pytest.fixture(scope="module", params=[0, None], ids=["from the server", "from memory"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A proxy with a data set for each example."""
    folder = tmp_path_factory.mktemp("property")
    home = folder / "home"
    define(home / "datasets")
    with (
        serving(f"sqlite:///{folder / 'cells.db'}") as storage,
        proxying(home, storage.address, cache_bytes=request.param) as running,
    ):
        yield running


def define(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(APART + len(DIVISIONS)):
        division = DIVISIONS[number % len(DIVISIONS)]
        text = DEFINITION.format(number=number, division=division, who=("mac", "string")[number % 2])
        (folder / f"d{number}.toml").write_text(text)


UNUSED = count()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    batches=reports(),
    ends=questions(),
    touch=st.sampled_from([None, -1, 0, 1]),
    steps=st.integers(1, 20),
    compacted=st.sets(st.integers(0, 1)),
)
@example(batches=[], ends=(0, LATEST), touch=None, steps=3, compacted={0})
@example(batches=[[Form(DEVICES[0], "ap-1", 0, LATEST, "")]], ends=(LATEST, LATEST), touch=None, steps=1, compacted={0})
@example(
    batches=[[Form(DEVICES[0], "ap-1", 666 * 30 * DAY - 1, 1, "")]], ends=(0, 1), touch=0, steps=1, compacted=set()
)
def test_answers_are_those_of_a_plain_filter(
    proxy: Proxied,
    batches: list[list[Form]],
    ends: tuple[int, int],
    touch: int | None,
    steps: int,
    compacted: set[int],
) -> None:
    """Batches after which everything is compacted are `compacted`."""
    dataset = f"d{next(UNUSED) % (2 * EXAMPLES)}"
    for number, batch in enumerate(batches):
        (answer,) = proxy.ingest(dataset, table(batch))
        assert (answer.accepted, len(answer.rejections)) == (len(batch), 0)
        if number in compacted:
            proxy.compact(dataset, include_open=True)
    reported = [form for batch in batches for form in batch]
    start, end = touching(ends, touch, reported)
    expected = [form for form in longest(reported) if form.since <= end and form.since + form.span >= start]
    check_presence(proxy, dataset, (start, end), expected)
    check_counts(proxy, dataset, (start, end), expected)
    check_series(proxy, dataset, (start, end), steps, expected)
    check_records(proxy, dataset, (start, end), expected)


@pytest.mark.parametrize("division", range(len(DIVISIONS)))
@pytest.mark.parametrize("length", [0, 1, HOUR, DAY, 40 * DAY])
def test_a_session_is_found_at_both_of_its_ends_and_not_beyond(proxy: Proxied, division: int, length: int) -> None:
    number = APART + division
    session = Form(DEVICES[0], f"ap-{length}", 666 * 30 * DAY - 1, length, "")  # from the last instant of an epoch
    proxy.ingest(f"d{number}", table([session]))
    first, last = session.since, session.since + length
    for at, found in ((first - 1, False), (first, True), (last, True), (last + 1, False)):
        assert len(proxy.records(f"d{number}", at, at, place=session.where)) == found


def touching(ends: tuple[int, int], touch: int | None, reported: list[Form]) -> tuple[int, int]:
    """The interval, or one that begins near the end of a session: before its last instant, at it, or after it."""
    if touch is None or not reported:
        return ends
    start = min(max(reported[0].since + reported[0].span + touch, 0), LATEST)
    return start, max(start, ends[1])


def longest(reported: list[Form]) -> list[Form]:
    """One form of each session, ascending: the longest, and among equally long ones the one with the greatest note."""
    kept: dict[tuple[int, str, str], Form] = {}
    for form in sorted(reported, key=lambda form: (form.span, form.note)):
        kept[form.since, form.who, form.where] = form
    return [kept[identity] for identity in sorted(kept, key=lambda key: (key[0], key[1].encode(), key[2].encode()))]


def check_presence(proxy: Proxied, dataset: str, ends: tuple[int, int], expected: list[Form]) -> None:
    for who, where in ((DEVICES[0], ""), (DEVICES[1], PLACES[2])):
        request = presence_service_pb2.FindSessionsRequest(
            dataset=dataset, device=who, interval=interval(*ends), place=where, purpose="test"
        )
        pages = list(proxy.presence.FindSessions(request))
        found = [
            session
            for page in pages
            for session in zip(
                page.sessions.places, page.sessions.starts_unix_ms, page.sessions.ends_unix_ms, strict=True
            )
        ]
        sessions = [f for f in expected if f.who == who and where in ("", f.where)]
        assert found == [(f.where, f.since, f.since + f.span) for f in sessions]
        assert {page.present for page in pages} == {bool(sessions)}
        assert {page.device for page in pages} == {who}


def check_counts(proxy: Proxied, dataset: str, ends: tuple[int, int], expected: list[Form]) -> None:
    by_place = {place: len({form.who for form in expected if form.where == place}) for place in PLACES}
    for place in ("", *PLACES):
        request = occupancy_service_pb2.CountRequest(dataset=dataset, interval=interval(*ends), place=place)
        counted = proxy.occupancy.Count(request).distinct_devices
        assert counted == (by_place[place] if place else len({form.who for form in expected}))
    pages = proxy.occupancy.CountByPlace(
        occupancy_service_pb2.CountByPlaceRequest(dataset=dataset, interval=interval(*ends))
    )
    found = [pair for page in pages for pair in zip(page.places, page.distinct_devices, strict=True)]
    assert found == sorted(((p, n) for p, n in by_place.items() if n), key=lambda pair: (-pair[1], pair[0]))


def check_series(proxy: Proxied, dataset: str, ends: tuple[int, int], steps: int, expected: list[Form]) -> None:
    start, end = ends
    width = max(1, -(-(end - start) // steps))
    step = Duration(seconds=width // 1_000, nanos=width % 1_000 * 1_000_000)
    asked: dict[str, Any] = {"dataset": dataset, "interval": interval(start, end), "step": step}
    pages = list(proxy.occupancy.Series(occupancy_service_pb2.SeriesRequest(**asked)))
    begins = range(start, end, width) or range(start, start + 1)
    lasts = [*(begin + width - 1 for begin in begins[:-1]), end]
    counts = [
        len({form.who for form in expected if form.since <= last and form.since + form.span >= begin})
        for begin, last in zip(begins, lasts, strict=True)
    ]
    assert [number for page in pages for number in page.distinct_devices] == counts
    assert pages[0].start_unix_ms == start
    peak = proxy.occupancy.Peak(occupancy_service_pb2.PeakRequest(**asked)).peak
    assert peak == pages[-1].peak
    assert peak.distinct_devices == max(counts)
    assert peak.at == instant(begins[counts.index(max(counts))])


def check_records(proxy: Proxied, dataset: str, ends: tuple[int, int], expected: list[Form]) -> None:
    for who, where in (("", ""), (DEVICES[1], ""), ("", PLACES[0]), (DEVICES[0], PLACES[2])):
        found = proxy.records(dataset, *ends, subject=who, place=where)
        assert found.column_names == list(Form._fields)
        plain = found.set_column(2, "since", found["since"].cast(pa.int64()))
        plain = plain.set_column(3, "span", plain["span"].cast(pa.int64()))
        matching = [form for form in expected if who in ("", form.who) and where in ("", form.where)]
        assert plain.to_pylist() == [form._asdict() for form in matching]


def table(batch: list[Form]) -> pa.Table:
    columns = dict(zip(Form._fields, zip(*batch, strict=True), strict=True))
    columns["since"] = pa.array(columns["since"], pa.timestamp("ms", tz="UTC"))
    columns["span"] = pa.array(columns["span"], pa.duration("ms"))
    return pa.table(columns)
