"""JSON lines: only the lines that cannot be read are rejected, with a reason that names the column."""

from __future__ import annotations

import json
import subprocess
import sys

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


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (b"{}\n" * 1_000_000, 65_537),
        (b"".join(b'{"c%d": 1}\n' % number for number in range(4_000)), 4_000),
        (b'{"c": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n", 1),
    ],
    ids=["empty objects", "another column in each", "nested deeply"],
)
def test_lines_take_no_more_memory_than_their_records(lines: bytes, rows: int) -> None:
    """Arrow would take a column for each name and a vector for each level, or a value for each column of each line."""
    code = (
        "import sys, pyarrow as pa\n"
        "from privacyplease.proxy.records import dataset, json_lines\n"
        "lines = sys.stdin.buffer.read()\n"
        "print(len(json_lines.read(lines, dataset.load()['wifi'], 65_536).records))\n"
        "print(pa.default_memory_pool().max_memory() >> 20)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], input=lines, capture_output=True, check=True)
    got, peak = map(int, run.stdout.split())
    assert got == rows
    assert peak < 64


@pytest.mark.parametrize(
    "before", ["", " \n\t", "\ufeff", "null\n"], ids=["nothing", "space", "byte order mark", "null"]
)
def test_a_null_in_the_place_of_the_first_object_does_not_end_the_process(before: str) -> None:
    """Arrow's reader ends it with a segmentation fault."""
    parsed = read((before + "null\n" + json.dumps(GOOD)).encode(), WIFI, 100)
    checked = check(parsed.records, WIFI)
    assert len(checked.records) == 1
    assert (
        set(parsed.unread)
        == {rejection.row for rejection in checked.rejections}
        == set(range(before.count("null") + 1))
    )
