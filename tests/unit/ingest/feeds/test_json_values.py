import pytest

from privacyplease.ingest.feeds import json_values


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (0, False), ("1", True), ("FALSE", False), (" true ", True), (None, None), (2, None), ([], None)],
)
def test_booleans_are_read_from_several_types(value: object, expected: bool | None) -> None:
    assert json_values.boolean(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, 7), ("12", 12), (3.0, 3), (3.5, None), (True, None), (-1, -1), (2**70, None), ("x", None), (None, None)],
)
def test_integers_are_whole_numbers_or_null(value: object, expected: int | None) -> None:
    assert json_values.integer(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2**33, str(2**33)), ("007", "007"), (12.0, "12"), (" a ", "a"), ("", None), (True, None), (None, None)],
)
def test_identifiers_are_text_whatever_their_type(value: object, expected: str | None) -> None:
    assert json_values.identifier(value) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1451295410000, 1, 1451295410000),
        (1451295410, 1_000, 1451295410000),
        (1451295410000, 1_000, 1451295410000),
        ("2019-04-08T12:23:34Z", 1, 1554726214000),
        ("2019-04-08T14:23:34.250+02:00", 1, 1554726214250),
        ("2019-04-08T12:23:34", 1, 1554726214000),
        (0, 1, None),
        (-5, 1_000, None),
        ("soon", 1, None),
        (None, 1, None),
        (float("inf"), 1, None),
    ],
)
def test_times_become_milliseconds_or_null(value: object, unit: int, expected: int | None) -> None:
    assert json_values.unix_ms(value, unit) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"position": {"lat": 1.5, "lng": 2}}, (1.5, 2.0)),
        ({"position": {"latitude": "1.5", "longitude": 2}}, (1.5, 2.0)),
        ({"lat": 1.5, "lng": 2.5}, (1.5, 2.5)),
        ({"lat": 0, "lon": 0}, (0.0, 0.0)),
        ({"position": {}}, None),
        ({"position": None, "lat": 1.5}, None),
        ({"position": {"lat": "north", "lng": 1}}, None),
    ],
)
def test_positions_are_found_wherever_they_are(record: dict[str, object], expected: object) -> None:
    assert json_values.position(record) == expected


def test_half_a_surrogate_pair_becomes_text_that_can_be_encoded() -> None:
    assert json_values.text("a\ud800b") == "a?b"
