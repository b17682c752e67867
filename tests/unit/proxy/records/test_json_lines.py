"""JSON lines: only the lines that cannot be read are rejected, with a reason that names the column."""

from __future__ import annotations

import json

import pytest

from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.json_lines import NO_OBJECT, TWICE, UNKNOWN, read
from privacyplease.proxy.records.tables import check

WIFI = dataset.load()["wifi"]
GOOD = {
    "client_mac": "aa:bb:cc:dd:ee:ff",
    "ap_name": "ap-1",
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": 45,
}
MAC, SECONDS = "expected a MAC address of 12 hexadecimal digits", "expected a duration in seconds"


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ("not json", "json_lines", NO_OBJECT),
        ("[1, 2]", "json_lines", NO_OBJECT),
        ("7", "json_lines", NO_OBJECT),
        ('{"client_mac": "x"', "json_lines", NO_OBJECT),
        ("[" * 100_000, "json_lines", NO_OBJECT),
        (json.dumps(GOOD | {"client_mac": {"a": 1}}), "client_mac", MAC),
        (json.dumps(GOOD | {"client_mac": 0xAABBCCDDEEFF}), "client_mac", MAC),
        (json.dumps(GOOD | {"ap_name": 7}), "ap_name", "expected text"),
        (json.dumps(GOOD | {"ap_name": "\ud800"}), "ap_name", "expected text"),
        (json.dumps(GOOD | {"session_duration": True}), "session_duration", SECONDS),
        (json.dumps(GOOD | {"session_duration": float("nan")}), "session_duration", SECONDS),
        (json.dumps(GOOD | {"session_duration": "soon"}), "session_duration", SECONDS),
        (json.dumps(GOOD)[:-1] + ', "ap_name": "ap-2"}', "ap_name", TWICE),
        (json.dumps(GOOD | {"colour": "red"}), "colour", UNKNOWN),
        (json.dumps(GOOD | {"\ud800" * 99: "red"}), "?" * 63, UNKNOWN),
    ],
    ids=[
        "no json",
        "an array",
        "a number",
        "cut off",
        "deep",
        "an object for text",
        "a number for an address",
        "a number for text",
        "half of a character",
        "a boolean for seconds",
        "no number",
        "text that is no number",
        "a column twice",
        "an unknown column",
        "an unknown column of a long odd name",
    ],
)
def test_only_the_bad_line_is_rejected(line: str, field: str, reason: str) -> None:
    good = json.dumps(GOOD)
    lines = read("\n".join([good, "", line, good]).encode(), WIFI, 9)
    checked = check(lines.records, WIFI)
    told = [lines.unread.get(each.row, each) for each in checked.rejections]
    assert [tuple(each) for each in told] == [(1, field, reason)]
    whole = check(read(f"{good}\n{good}".encode(), WIFI, 9).records, WIFI)
    assert checked.records.equals(whole.records)


def test_of_too_many_lines_only_one_more_than_allowed_is_read() -> None:
    assert len(read(b"{}\n" * 100 + b"!", WIFI, 9).records) == 10
