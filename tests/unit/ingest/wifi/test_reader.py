import datetime as dt
import gzip
import io
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacyplease.ingest import wifi
from privacyplease.ingest.errors import LayoutError, SourceError

Read = Callable[..., Any]

HEADER = "Client MAC Address,AP Name,Association Time,Vendor,Session Duration"
GOOD = "02:fb:ae:12:7e:8d,ap-14,Tue Oct 01 00:00:00 UTC 2024,Unknown,49 min 43 sec"
FIELDS = ["10.0.0.1", "02:fb:ae:12:7e:8d", "Tue Oct 01 00:00:00 UTC 2024", "Apple,Inc", "ap-14", "", "Campus > A > 1"]
FIELDS += ["guest", "", "110", "802.11ac", "0 sec", "", "12.5"]
STREAM = "\t".join(FIELDS)


def log(*lines: str, end: str = "\n") -> str:
    return end.join([HEADER, *lines, ""])


def test_a_session_has_typed_values_and_nulls(read: Read) -> None:
    [session] = read(log(GOOD)).table.to_pylist()
    assert session["client_mac"] == "02:fb:ae:12:7e:8d"
    assert session["ap_name"] == "ap-14"
    assert session["association_time"] == dt.datetime(2024, 10, 1, tzinfo=dt.UTC)
    assert session["session_duration"] == dt.timedelta(minutes=49, seconds=43)
    assert session["vendor"] == "Unknown"
    assert session["ssid"] is None


def test_empty_attributes_are_null_and_not_supported_is_kept(read: Read) -> None:
    [empty, kept] = read(log(GOOD.replace("Unknown", ""), GOOD.replace("Unknown", "Not Supported"))).table.to_pylist()
    assert empty["vendor"] is None
    assert kept["vendor"] == "Not Supported"


@pytest.mark.parametrize("start", ["", "\ufeff", "Client Sessions\nGenerated: today, late\n\n", "\ufeffTitle\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_title_lines_byte_order_marks_and_carriage_returns_are_skipped(read: Read, start: str, end: str) -> None:
    result = read((start + log(GOOD, "", GOOD, end=end)).replace("\n", "\n"))
    first = start.count("\n") + 2
    assert result.lines == [first, first + 2]
    assert not result.rejects


def test_columns_are_mapped_by_title_in_any_order_and_spelling(read: Read) -> None:
    text = 'session duration,Access Point,"Colour",ASSOCIATION TIME,mac address\n5,ap-1,red,2024-10-01T00:00:00Z,aa\n'
    assert read(text).table.select(["client_mac", "ap_name"]).to_pylist() == [{"client_mac": "aa", "ap_name": "ap-1"}]
    assert wifi.read(io.BytesIO(text.encode())).ignored == ("Colour",)


def test_a_canonical_title_beats_an_alias_wherever_it_is(read: Read) -> None:
    result = read(f"Access Point,{HEADER},Location,Map Location\nap-99,{GOOD},Lobby,Campus > Lobby\n")
    assert result.table["ap_name"].to_pylist() == ["ap-14"]
    assert result.table["map_location"].to_pylist() == ["Campus > Lobby"]


@pytest.mark.parametrize(("titles", "two"), [
    (HEADER + ",ap name", "'AP Name', 'ap name'"),
    (HEADER.replace("Client MAC Address", "Client MAC,MAC Address"), "'Client MAC', 'MAC Address'"),
    (HEADER + ",Location,location", "'Location', 'location'"),
])  # fmt: skip
def test_two_columns_for_one_role_are_refused_by_name(titles: str, two: str) -> None:
    with pytest.raises(LayoutError, match=f"got 2: {two}"):
        wifi.read(io.BytesIO(titles.encode() + b"\n"))


def test_quoted_commas_and_quotes_belong_to_the_value(read: Read) -> None:
    vendors = ['"Apple,Inc"', '"a ""b"", c"', '""', '15" screen', 'a "b" c']
    result = read(log(*(GOOD.replace("Unknown", vendor) for vendor in vendors)))
    assert result.table["vendor"].to_pylist() == ["Apple,Inc", 'a "b", c', None, '15" screen', 'a "b" c']
    assert not result.rejects


def test_an_unclosed_quote_affects_one_line_only(read: Read) -> None:
    result = read(log(GOOD, GOOD.replace("Unknown", '"Apple,Inc'), GOOD.replace("Unknown", '"Apple,Inc"')))
    assert result.lines == [2, 4]
    assert result.rejected() == [(3, "record")]
    assert result.rejects[0].reason.startswith("expected quotes around whole fields")


def test_values_are_trimmed(read: Read) -> None:
    [session] = read(log(GOOD.replace(",", " , "))).table.to_pylist()
    assert (session["client_mac"], session["ap_name"], session["vendor"]) == ("02:fb:ae:12:7e:8d", "ap-14", "Unknown")


@pytest.mark.parametrize("mac", ["", " ", "Unknown", "Not Supported", "unknown"])
def test_a_session_without_a_device_is_rejected(read: Read, mac: str) -> None:
    assert read(log(GOOD.replace("02:fb:ae:12:7e:8d", mac))).rejected() == [(2, "client_mac")]


def test_a_session_without_a_place_is_rejected(read: Read) -> None:
    assert read(log(GOOD.replace("ap-14", ""))).rejected() == [(2, "ap_name")]


def test_a_session_that_ends_after_the_year_9999_is_rejected(read: Read) -> None:
    line = GOOD.replace("2024", "9999").replace("Tue Oct 01", "Fri Dec 31")
    assert read(log(line, line.replace("49 min 43 sec", "1 days"))).rejected() == [(3, "session_duration")]


def test_a_line_with_several_faults_is_rejected_once(read: Read) -> None:
    assert read(log(",,,,")).rejected() == [(2, "client_mac")]


BAD = [GOOD, "too,few", "", GOOD + ",too many", "x,ap,never,,1", GOOD, GOOD.replace("49 min 43 sec", "-1"), GOOD]


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 100, 200, 1_000, 1 << 20])
def test_line_numbers_are_exact_wherever_blocks_are_cut(read: Read, block_bytes: int) -> None:
    result = read(log(*BAD), block_bytes=block_bytes)
    assert result.lines == [2, 7, 9]
    assert result.rejected() == [(3, "record"), (5, "record"), (6, "association_time"), (8, "session_duration")]
    assert [reject.record for reject in result.rejects] == [BAD[1], BAD[3], BAD[4], BAD[6]]


def test_line_numbers_are_exact_beyond_the_head_of_the_log(read: Read) -> None:
    lines = [GOOD] * 5_000
    lines[4_321] = "broken"
    result = read(log(*lines), block_bytes=10_000)
    assert result.rejected() == [(4_323, "record")]
    assert result.lines == [line for line in range(2, 5_002) if line != 4_323]


def test_lines_that_are_not_utf_8_are_rejected_and_kept_byte_for_byte(read: Read) -> None:
    text = log(GOOD, "BAD", GOOD.replace("ap-14", "ap-Köln"), "BAD", GOOD).encode()
    result = read(text.replace(b"BAD", "é".encode("latin-1")))
    assert result.lines == [2, 4, 6]
    assert result.rejected() == [(3, "record"), (5, "record")]
    assert result.rejects[0].record.encode(errors="surrogateescape") == b"\xe9"
    assert result.table["ap_name"].to_pylist()[1] == "ap-Köln"


def test_a_carriage_return_within_a_line_affects_that_line_only(read: Read) -> None:
    assert read(log(GOOD, GOOD.replace("ap", "a\rp"), GOOD)).rejected() == [(3, "record")]


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_a_last_line_without_its_end_is_set_aside(read: Read, block_bytes: int) -> None:
    """What is written of it may be a shorter name."""
    result = read(log(GOOD, GOOD).rstrip("\n"), block_bytes=block_bytes)
    assert result.lines == [2]
    assert [(reject.line, reject.record) for reject in result.rejects] == [(3, GOOD)]
    assert result.rejects[0].reason == "expected a line that ends: the log was cut short, or is still being written"


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", HEADER, HEADER + "\n", HEADER + "\r\n\r\n"])
def test_a_log_without_sessions_is_not_an_error(read: Read, text: str) -> None:
    result = read(text)
    assert result.table.num_rows == 0
    assert not result.rejects


def test_a_missing_column_is_named_with_the_columns_found() -> None:
    with pytest.raises(
        LayoutError, match=r"'AP Name', 'Session Duration' in the header too, got: Client MAC Address, Association Time"
    ):
        wifi.read(io.BytesIO(b"Client MAC Address,Association Time,Vendor\n"))


def test_a_file_that_is_not_a_log_is_refused() -> None:
    with pytest.raises(LayoutError, match="expected a header line"):
        wifi.read(io.BytesIO(b"\x00\x01\x02" * 100_000))


def test_the_stream_format_may_mix_14_and_15_fields(read: Read) -> None:
    result = read("\n".join([STREAM, STREAM + "\t4711", "a\tb", STREAM + "\t", STREAM + "\tx\ty", STREAM, ""]))
    assert result.lines == [1, 2, 4, 6]
    assert result.table["record_id"].to_pylist() == [None, "4711", None, None]
    assert result.table["vendor"].to_pylist() == ["Apple,Inc"] * 4
    assert [reject.reason for reject in result.rejects] == [
        "expected 14 or 15 fields, got 2",
        "expected 14 or 15 fields, got 16",
    ]


def test_the_stream_format_may_be_quoted(read: Read) -> None:
    result = read(STREAM.replace("Apple,Inc", '"Apple,Inc"') + "\n" + STREAM.replace("Apple,Inc", '15" Apple') + "\n")
    assert result.table["vendor"].to_pylist() == ["Apple,Inc", '15" Apple']


@pytest.mark.parametrize("block_bytes", [10, 200, 1 << 20])
def test_gzip_is_detected_by_content(read: Read, tmp_path: Path, block_bytes: int) -> None:
    gzipped = tmp_path / "log.csv"
    gzipped.write_bytes(gzip.compress(log(GOOD).encode()) + gzip.compress(f"{GOOD}\n".encode()))
    plain = tmp_path / "log.gz"
    plain.write_text(log(GOOD, GOOD))
    assert read(gzipped, block_bytes=block_bytes).lines == read(plain, block_bytes=block_bytes).lines == [2, 3]


@pytest.mark.parametrize("head", [b"", log(GOOD).encode()], ids=["from the start", "after a record"])
def test_a_gzipped_log_of_one_endless_line_takes_bounded_memory(head: bytes) -> None:
    """A quarter of a gibibyte in a quarter of a mebibyte."""
    compressor = zlib.compressobj(wbits=31)
    zeros = bytes(1 << 20)
    packed = compressor.compress(head) + b"".join(compressor.compress(zeros) for _ in range(256)) + compressor.flush()
    tracemalloc.start()
    try:
        with suppress(LayoutError):
            for block in wifi.read(io.BytesIO(packed), block_bytes=1 << 20):
                assert len(block.table) <= 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20


def test_standard_input_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(log(GOOD).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert [block.table.num_rows for block in wifi.read("-")] == [1]
    assert not stdin.buffer.closed


def test_an_unreadable_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        wifi.read(tmp_path / "missing.csv")
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(log(*[GOOD] * 9).encode())[:-20])
    with pytest.raises(SourceError, match="cannot read"):
        list(wifi.read(broken))


def test_a_byte_order_mark_at_the_start_of_a_line_is_skipped(read: Read) -> None:
    result = read(log(GOOD, "\ufeff", "\ufeff" + GOOD), block_bytes=1)
    assert (result.lines, result.rejects) == ([2, 4], [])


JUNK = st.one_of(
    st.binary(max_size=60),
    st.text('",\t\r ax', max_size=30).map(str.encode),
    st.sampled_from([GOOD.encode(), GOOD.replace("Unknown", '"Apple,Inc"').encode()]),
).map(lambda line: line.replace(b"\n", b""))


@settings(deadline=None)
@given(st.lists(JUNK), st.integers(1, 300))
def test_every_line_becomes_a_session_or_a_reject_without_affecting_others(
    lines: list[bytes], block_bytes: int
) -> None:
    text = HEADER.encode() + b"\n" + b"".join(line + b"\n" for line in lines)
    blocks = list(wifi.read(io.BytesIO(text), block_bytes=block_bytes))
    read = [line for block in blocks for line in block.lines.tolist()]
    rejected = {reject.line: reject.record for block in blocks for reject in block.rejects}
    whole = [line.removesuffix(b"\r") for line in lines]
    assert read == [number for number, line in enumerate(whole, start=2) if line.startswith(b"02:fb")]
    assert {number: line.encode(errors="surrogateescape") for number, line in rejected.items()} == {
        number: line for number, line in enumerate(whole, start=2) if line and number not in read
    }


def test_an_overlong_line_is_truncated_and_rejected(read: Read) -> None:
    result = read(log(GOOD, "x" * (3 << 20), GOOD), block_bytes=1 << 18)
    assert result.lines == [2, 4]
    assert len(result.rejects[0].record) <= 2 << 20


def test_the_real_log_is_read_whole(read: Read, logs: Path) -> None:
    result = read(logs / "client_sessions.csv.gz")
    assert not result.rejects
    assert result.lines == list(range(2, 178_572))
    ends = pc.add(result.table["association_time"], result.table["session_duration"])
    assert len(result.table["client_mac"].unique()) == 2_593
    assert result.table["association_time"][0].as_py() == dt.datetime(2024, 8, 26, 6, 56, 13, tzinfo=dt.UTC)
    assert pc.max(ends).as_py() == dt.datetime(2024, 10, 11, 14, 59, 59, tzinfo=dt.UTC)


def test_the_real_report_has_the_sessions_of_its_day(read: Read, logs: Path) -> None:
    whole, report = read(logs / "client_sessions.csv.gz").table, read(logs / "client_sessions_2024-10-01_preamble.csv")
    first, last = dt.datetime(2024, 9, 30, 15, tzinfo=dt.UTC), dt.datetime(2024, 10, 1, 15, tzinfo=dt.UTC)
    starts = whole["association_time"].to_pandas()
    assert report.lines == list(range(6, 9_065))
    assert not report.rejects
    order = [(name, "ascending") for name in ("association_time", "client_mac", "ap_name")]
    day = whole.filter((starts >= first).to_numpy() & (starts < last).to_numpy())
    assert day.sort_by(order).equals(report.table.sort_by(order))


HEADERS_WITHIN = {
    "the same": HEADER,
    "with a mark": "\ufeff" + HEADER,
    "another order": "AP Name,Vendor,Client MAC Address,Session Duration,Association Time",
    "other columns": "Client MAC Address;AP Name;Association Time;Session Duration",
}


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("within", HEADERS_WITHIN)
def test_a_later_header_gives_the_layout_of_what_follows(read: Read, within: str, block_bytes: int) -> None:
    header = HEADERS_WITHIN[within]
    values = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    delimiter = ";" if ";" in header else ","
    row = delimiter.join(values[title] for title in header.removeprefix("\ufeff").split(delimiter))
    result = read(log(GOOD, header, row, "broken", header, row, row), block_bytes=block_bytes)
    assert result.lines == [2, 4, 7, 8]
    assert result.rejected() == [(5, "record")]
    assert result.table["ap_name"].to_pylist() == ["ap-14"] * 4


@pytest.mark.parametrize("mac", [
    "00:00:00:00:00:00", "000000000000", "0000.0000.0000", "ff:ff:ff:ff:ff:ff", "FFFF.FFFF.FFFF", "01:00:5e:00:00:01",
    "33-33-00-00-00-01", "0180c2000000",
])  # fmt: skip
def test_the_address_of_no_station_is_rejected(read: Read, mac: str) -> None:
    result = read(log(GOOD, GOOD.replace("02:fb:ae:12:7e:8d", mac)))
    assert result.rejected() == [(3, "client_mac")]
    assert result.rejects[0].reason == "expected the MAC address of one device, got all zeros, a group or broadcast"


@pytest.mark.parametrize("duration", ["401 days 0 sec", "1709251200", "34560001"])
def test_a_duration_that_may_be_in_another_unit_is_rejected(read: Read, duration: str) -> None:
    result = read(log(GOOD, GOOD.replace("49 min 43 sec", duration), GOOD.replace("49 min 43 sec", "400 days")))
    assert result.lines == [2, 4]
    assert result.rejects[0].reason.startswith("expected a duration of at most 400 days")


@pytest.mark.parametrize("line", ["\0" * 40 + GOOD, GOOD.replace("ap-14", "ap\0-14"), "\0" * 300, GOOD + "\0"])
def test_a_line_with_nul_bytes_is_rejected(read: Read, line: str) -> None:
    result = read(log(GOOD, line, GOOD))
    assert result.lines == [2, 4]
    assert [reject.reason for reject in result.rejects] == ["expected text without NUL bytes"]


@pytest.mark.parametrize(
    ("line", "vendor"),
    [
        (GOOD.replace("Unknown", '15" TV'), '15" TV'),
        (GOOD.replace("ap-14", '"ap-14"').replace("Unknown", '15" TV'), '15" TV'),
        (GOOD.replace("ap-14", ' "ap-14"').replace("Unknown", ' "Apple, Inc"'), "Apple, Inc"),
    ],
)
def test_a_stray_quote_changes_no_other_field(read: Read, line: str, vendor: str) -> None:
    [session] = read(log(line)).table.to_pylist()
    assert (session["ap_name"], session["vendor"]) == ("ap-14", vendor)


@pytest.mark.parametrize(
    "cut",
    [
        GOOD.replace("Unknown", '"Apple\nInc"'),
        GOOD.replace("02:fb:ae:12:7e:8d", '"\n02:fb:ae:12:7e:8d"'),
        GOOD.replace("ap-14", '"ap\n-14"'),
        '"x\ny",' + GOOD,
    ],
)
def test_half_of_a_record_with_a_line_break_is_never_a_record(read: Read, cut: str) -> None:
    result = read(log(GOOD, cut, GOOD))
    assert result.lines == [2, 5]
    assert result.rejected() == [(3, "record"), (4, "record")]
