from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.ingest.wifi import durations

NAMES = [
    ("day", "days"),
    ("hr", "hrs", "hour", "hours"),
    ("min", "mins", "minute", "minutes"),
    ("sec", "secs", "seconds"),
]


def parse(text: str) -> Any:
    [milliseconds], faults = durations.parse(pa.array([text]))
    reasons = [fault.reason for fault in faults if len(fault.rows)]
    return reasons[0] if reasons else milliseconds / 1_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 days 2 hrs 35 min 55 sec", 95_755),
        ("1days2hrs35min 55sec", 95_755),
        ("24 hrs 0 min 1 sec", 86_401),
        ("1 day", 86_400),
        ("1 hr", 3_600),
        ("2 days 5 sec", 172_805),
        ("90 MIN", 5_400),
        ("0 sec", 0),
        ("0", 0),
        ("86401", 86_401),
    ],
)
def test_every_form_is_read(text: str, seconds: int) -> None:
    assert parse(text) == seconds


@given(st.data())
def test_every_spelling_is_read_back(data: st.DataObject) -> None:
    counts = data.draw(st.tuples(*[st.integers(0, 10_000)] * 4).filter(any))
    words = [
        f"{count}{data.draw(st.sampled_from(['', ' ']))}{data.draw(st.sampled_from(names))}"
        for count, names in zip(counts, NAMES, strict=True)
        if count or data.draw(st.booleans())
    ]
    seconds = sum(count * unit for count, unit in zip(counts, (86_400, 3_600, 60, 1), strict=True))
    assert parse(data.draw(st.sampled_from(["", " ", "  "])).join(words)) == seconds


@pytest.mark.parametrize(
    "text", ["", "Unknown", "-1", "-5 sec", "1.5", "5 min 3", "sec", "5 sec 1 min", "1 week", "9" * 30, "٣"]
)
def test_another_form_is_refused(text: str) -> None:
    assert parse(text).startswith("expected a duration as")


@pytest.mark.parametrize("text", ["999999999999", "9999999 days", "9" * 18 + " days " + "9" * 18 + " hrs"])
def test_a_duration_beyond_all_time_is_refused(text: str) -> None:
    assert parse(text) == "expected a duration of less than 8,000 years"


@given(st.text(max_size=30))
def test_nothing_makes_it_fail(text: str) -> None:
    parse(text)
