"""Messages about stations become states; bad ones are rejected with a reason, without affecting the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacyplease.ingest.bikes import SCHEMA, parse
from privacyplease.ingest.feeds import Station
from privacyplease.ingest.parsing import ParsedMessages
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.tables import check

BIKES = dataset.load()["bikes"]
LUND: dict[str, Any] = {
    "contract": "Lund",
    "number": "5",
    "name": "MÅRTENSTORGET",
    "address": "",
    "position": {"lat": 55.7019107380952, "lng": 13.196025788784},
    "banking": True,
    "bonus": False,
    "status": "OPEN",
    "capacity": 30,
    "available_bikes": 3,
    "available_bike_stands": 27,
    "last_update": 1451295505000,
    "source": "jcdecaux-v1",
    "polled_at": 1451295565123,
}
POLLED = datetime(2015, 12, 28, 9, 39, 25, 123_000, UTC)


def message(**changes: Any) -> bytes:
    return json.dumps(LUND | changes, ensure_ascii=False).encode()


def row(parsed: ParsedMessages) -> dict[str, Any]:
    assert parsed.rejects == []
    (only,) = parsed.table.to_pylist()
    return dict(only)


def test_the_columns_are_those_of_the_data_set() -> None:
    assert {field.name: field.type for field in SCHEMA} == {field.name: field.type for field in BIKES.schema}
    assert SCHEMA.names == BIKES.schema.names


def test_a_message_becomes_a_state() -> None:
    reported = POLLED - timedelta(minutes=1, milliseconds=123)
    assert row(parse([message()])) == {
        "station": "lund/5",
        "contract": "lund",
        "state_from": reported,
        "observed_for": timedelta(minutes=1, milliseconds=123),
        "contract_name": "Lund",
        "number": "5",
        "name": "MÅRTENSTORGET",
        "address": "",
        "latitude": 55.7019107380952,
        "longitude": 13.196025788784,
        "banking": True,
        "bonus": False,
        "status": "OPEN",
        "bike_stands": 30,
        "available_bikes": 3,
        "available_bike_stands": 27,
        "last_update": reported,
        "source": "jcdecaux-v1",
        "polled_at": POLLED,
    }


@pytest.mark.parametrize("message_", [message(last_update=None), message().replace(b'"last_update"', b'"unknown"')])
def test_a_state_without_a_time_starts_when_it_was_polled(message_: bytes) -> None:
    state = row(parse([message_]))
    assert (state["state_from"], state["observed_for"], state["last_update"]) == (POLLED, timedelta(), None)


def test_a_state_reported_after_it_was_polled_has_no_duration() -> None:
    state = row(parse([message(last_update=LUND["polled_at"] + 1)]))
    assert (state["state_from"], state["observed_for"]) == (POLLED + timedelta(milliseconds=1), timedelta())


def test_fields_missing_from_a_message_are_null() -> None:
    state = row(parse([b'{"contract":"x","number":"1","polled_at":0}']))
    present = {"station", "contract", "state_from", "observed_for", "contract_name", "number", "polled_at"}
    assert {name for name, value in state.items() if value is not None} == present


@pytest.mark.parametrize("position", [None, {}, {"lat": None, "lng": None}])
def test_a_missing_position_is_null(position: object) -> None:
    state = row(parse([message(position=position)]))
    assert (state["latitude"], state["longitude"]) == (None, None)


def test_contracts_are_case_folded() -> None:
    states = parse([message(contract=name) for name in ("LUND", "Straße", "STRASSE")]).table
    assert states["contract"].to_pylist() == ["lund", "strasse", "strasse"]
    assert states["contract_name"].to_pylist() == ["LUND", "Straße", "STRASSE"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (json.dumps(LUND, indent=2).encode(), "5"),
        (b" \r\n" + message() + b"\t\n", "5"),
        (message(extra=[1, {"number": "6"}]), "5"),
        (message().replace(b'"5"', rb'"\u00e9\u0000"'), "é\0"),
    ],
    ids=["indented", "surrounding spaces", "unknown fields", "escapes"],
)
def test_json_may_be_formatted_in_any_way(text: bytes, number: str) -> None:
    for batch in ([text], [message(), text, message()]):
        parsed = parse(batch)
        assert parsed.rejects == []
        assert number in parsed.table["number"].to_pylist()


TEXT = "expected text"
INTEGER = "expected a whole number"
BOOLEAN = "expected true or false"
POSITION = "expected lat and lng as numbers, or null"
MISSING = "expected a value, got none"
TIME = "expected a time from 1970 to 9999, in ms"

BAD = {
    "empty": (b"", "record", "expected a station, got an empty message"),
    "blank": (b" \r\n", "record", "expected a station, got an empty message"),
    "not UTF-8": (message().replace("Å".encode(), b"\xc5"), "record", "expected UTF-8"),
    "UTF-16": (message().decode().encode("utf-16"), "record", "expected UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + message(), "record", "expected JSON"),
    "text": (b"02:00:00:00:00:01\tap-1", "record", "expected JSON"),
    "truncated": (message()[:-20], "record", "expected JSON"),
    "truncated array": (b"[" + message() + b",", "record", "expected JSON"),
    "truncated behind a brace": (message(extra={})[:-1], "record", "expected JSON"),
    "second half": (message()[20:], "record", "expected JSON"),
    "two objects": (message() + message(), "record", "expected JSON"),
    "two objects in lines": (message() + b"\n" + message(), "record", "expected JSON"),
    "line break in a text": (
        message().replace(b"TORG", b"T\nRG"),
        "record",
        "expected JSON",
    ),
    "comment": (message() + b"//}", "record", "expected JSON"),
    "single quotes": (b"{'contract': 'lund'}", "record", "expected JSON"),
    "array": (b"[" + message() + b"]", "record", "expected a JSON object"),
    "number": (b"5", "record", "expected a JSON object"),
    "null": (b"null", "record", "expected a JSON object"),
    "field twice": (message()[:-1] + b',"number":"6"}', "record", "expected each field once, got one twice"),
    "no field": (b"{}", "contract", MISSING),
    "no contract": (message(contract=None), "contract", MISSING),
    "empty contract": (message(contract=""), "contract", MISSING),
    "contract with a slash": (message(contract="a/b"), "contract", 'expected a name without "/"'),
    "no number": (message(number=None), "number", MISSING),
    "empty number": (message(number=""), "number", MISSING),
    "not polled": (message(polled_at=None), "polled_at", MISSING),
    "number as a number": (message(number=5), "number", TEXT),
    "name as a list": (message(name=["x"]), "name", TEXT),
    "half a surrogate pair": (message().replace("Å".encode(), rb"\ud800"), "name", TEXT),
    "other half": (message().replace("Å".encode(), rb"\udc00"), "name", TEXT),
    "banking as a number": (message(banking=1), "banking", BOOLEAN),
    "bonus as text": (message(bonus="false"), "bonus", BOOLEAN),
    "bikes as text": (message(available_bikes="3"), "available_bikes", INTEGER),
    "half a bike": (message(available_bikes=2.5), "available_bikes", INTEGER),
    "bikes as an object": (message(available_bikes={"n": 3}), "available_bikes", INTEGER),
    "more than 64 bits": (message(capacity=2**63), "capacity", INTEGER),
    "thousands of digits": (message().replace(b": 30,", b": " + b"3" * 5_000 + b","), "record", "expected JSON"),
    "time as text": (message(last_update="2015-12-28T09:38:25Z"), "last_update", INTEGER),
    "time before 1970": (message(last_update=-1), "last_update", TIME),
    "time after 9999": (message(polled_at=2**60), "polled_at", TIME),
    "position as a list": (message(position=[55.7, 13.2]), "position", POSITION),
    "position as text": (message(position={"lat": "55.7", "lng": 13.2}), "position", POSITION),
    "position beyond numbers": (message().replace(b"55.7019107380952", b"1e999"), "position", POSITION),
    "position not a number": (message().replace(b"55.7019107380952", b"NaN"), "position", POSITION),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_message_is_rejected_whatever_the_batch(kind: str) -> None:
    text, field, reason = BAD[kind]
    for before, after in ((0, 0), (0, 2), (2, 0), (1, 1)):
        parsed = parse([message()] * before + [text] + [message()] * after)
        assert [tuple(reject) for reject in parsed.rejects] == [(before, field, reason)]
        assert parsed.rows.tolist() == [n for n in range(before + 1 + after) if n != before]
        assert len(parsed.table) == before + after


def test_all_bad_messages_of_a_batch_are_rejected_in_order() -> None:
    parsed = parse([text for text, _, _ in BAD.values()])
    assert [tuple(reject) for reject in parsed.rejects] == [
        (position, field, reason) for position, (_, field, reason) in enumerate(BAD.values())
    ]
    assert parsed.table.schema == SCHEMA


def test_halves_of_a_message_are_not_joined() -> None:
    whole = message()
    for cut in range(1, len(whole)):
        parsed = parse([whole[:cut], whole[cut:], whole + whole])
        assert len(parsed.rejects) == 3
        assert len(parsed.table) == 0


def test_deep_nesting_does_not_make_the_parser_fail() -> None:
    deep = message()[:-1] + b',"extra":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    alone, accompanied = parse([deep]), parse([deep, b"x"])
    assert len(alone.table) == len(accompanied.table)


def test_a_reason_never_holds_a_value() -> None:
    for text, _, reason in BAD.values():
        assert not any(word in reason for word in ("MÅRTENSTORGET", "55.7", "lund")), text


def test_a_batch_may_be_empty_or_large() -> None:
    assert parse([]).table.schema == SCHEMA
    wide = message(address="x" * 3_000_000)  # more than Arrow's reader reads in one block by default
    assert len(parse([wide, message(), wide]).table) == 3


texts = st.none() | st.text(max_size=8)
numbers = st.none() | st.integers(-(2**63), 2**63 - 1)
truths = st.none() | st.booleans()
degrees = st.floats(allow_nan=False, allow_infinity=False)
times = st.integers(0, 253_402_300_799_999)
stations = st.builds(
    Station,
    contract=st.text(min_size=1, max_size=5).filter(lambda name: "/" not in name),
    number=st.text(min_size=1, max_size=5),
    name=texts,
    address=texts,
    position=st.none() | st.tuples(degrees, degrees),
    banking=truths,
    bonus=truths,
    status=texts,
    capacity=numbers,
    available_bikes=numbers,
    available_bike_stands=numbers,
    last_update=st.none() | times,
    source=st.text(max_size=5),
    polled_at=times,
)


@settings(deadline=None)
@given(st.lists(stations, max_size=5), st.lists(st.sampled_from([*BAD]), max_size=3), st.randoms())
def test_stations_that_the_pollers_send_are_parsed_exactly(
    good_stations: list[Station], bad: list[str], random: Any
) -> None:
    sent: list[Station | bytes] = [*good_stations, *(BAD[kind][0] for kind in bad)]
    random.shuffle(sent)
    parsed = parse([each.message() if isinstance(each, Station) else each for each in sent])
    good = [position for position, each in enumerate(sent) if isinstance(each, Station)]
    assert parsed.rows.tolist() == good
    states = parsed.table.cast(pa.schema([(f.name, pa.int64() if _counts(f.type) else f.type) for f in SCHEMA]))
    for position, state in zip(good, states.to_pylist(), strict=True):
        station = sent[position]
        assert isinstance(station, Station)
        check_state(state, station)
    assert check(parsed.table, BIKES).rejections == []


def check_state(state: dict[str, Any], station: Station) -> None:
    plain = ("number", "name", "address", "banking", "bonus", "status", "last_update", "source", "polled_at")
    assert {name: state[name] for name in plain} == {name: getattr(station, name) for name in plain}
    counts = ("available_bikes", "available_bike_stands")
    assert [state[name] for name in counts] == [getattr(station, name) for name in counts]
    assert state["bike_stands"] == station.capacity
    assert (state["latitude"], state["longitude"]) == (station.position or (None, None))
    since = station.polled_at if station.last_update is None else station.last_update
    assert (state["state_from"], state["observed_for"]) == (since, max(0, station.polled_at - since))
    assert (state["contract_name"], state["contract"]) == (station.contract, station.contract.casefold())
    assert state["station"] == f"{station.contract.casefold()}/{station.number}"


def _counts(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_duration(kind)
