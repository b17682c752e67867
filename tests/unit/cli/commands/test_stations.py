from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from privacyplease.cli.commands import stations
from privacyplease.cli.option_values import TimeRange
from privacyplease.cli.output import station_tables
from privacyplease.client import Availability, StationStates, Statistics

NOON = datetime(2024, 10, 1, 12, tzinfo=UTC)
DAY = TimeRange(NOON, NOON + timedelta(days=1), UTC)
INSTANT, DURATION = pa.timestamp("ms", tz="UTC"), pa.duration("ms")


def states(*numbers: str, name: str = "MÅRTENSTORGET", bikes: int | None = 3) -> StationStates:
    rows = [
        {"station": f"lund/{number}", "contract": "lund", "number": number, "name": name, "available_bikes": bikes}
        for number in numbers
    ]
    table = pa.Table.from_pylist(rows)
    table = table.append_column("state_from", pa.array([NOON] * len(rows), INSTANT))
    table = table.append_column("observed_for", pa.array([timedelta(seconds=61.5)] * len(rows), DURATION))
    return StationStates(table)


def test_a_state_as_json() -> None:
    assert stations.as_documents(states("5", bikes=None)) == [
        {
            "station": "lund/5",
            "contract": "lund",
            "state_from": "2024-10-01T12:00:00Z",
            "observed_for": 61.5,
            "contract_name": None,
            "number": "5",
            "name": "MÅRTENSTORGET",
            "address": None,
            "latitude": None,
            "longitude": None,
            "banking": None,
            "bonus": None,
            "status": None,
            "bike_stands": None,
            "available_bikes": None,
            "available_bike_stands": None,
            "last_update": None,
            "source": None,
            "polled_at": None,
        }
    ]


AVAILABILITY = Availability(
    NOON,
    timedelta(minutes=15),
    Statistics((None, 1234.25), (None, 1), (None, 2_000)),
    Statistics((None, None), (None, None), (None, None)),
)


def test_availability_as_json() -> None:
    nothing = {"mean": None, "minimum": None, "maximum": None}
    assert stations.series(AVAILABILITY) == [
        {"at": "2024-10-01T12:00:00Z", "bikes": nothing, "stands": nothing},
        {"at": "2024-10-01T12:15:00Z", "bikes": {"mean": 1234.25, "minimum": 1, "maximum": 2_000}, "stands": nothing},
    ]


@pytest.mark.parametrize("width", [70, 80, 200])
def test_tables_fit_the_terminal_and_only_names_are_cut(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    station_tables.print_latest("lund", states("10", "2", name="Łódź, plac Wolności " * 5), NOON, UTC)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading == "lund: 6 bikes and 0 free stands at 2 stations, as of 2024-10-01T12:00:00Z"
    assert max(map(len, lines)) <= width
    first, second = lines[-2:]
    assert (first.split()[0], second.split()[0]) == ("2", "10")
    assert first.rstrip().endswith("2024-10-01T12:00:00Z")
    assert ("…" in first) == (width < 200)


def test_a_history_names_the_station_once(capsys: pytest.CaptureFixture[str]) -> None:
    station_tables.print_history("LUND/5", states("5"), DAY)
    heading, _, line = capsys.readouterr().out.splitlines()
    assert heading == "lund/5, MÅRTENSTORGET"
    assert line.split() == ["2024-10-01T12:00:00Z", "-", "3", "-", "-", "1", "min", "1", "s"]


def test_availability_shows_unknown_values_as_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    station_tables.print_availability("lund", AVAILABILITY, UTC)
    heading, *_, unknown, known = capsys.readouterr().out.splitlines()
    assert heading == "lund: 2 steps of 15 min; mean, minimum and maximum of bikes and free stands"
    assert unknown.split() == ["2024-10-01T12:00:00Z", *["-"] * 6]
    assert known.split() == ["2024-10-01T12:15:00Z", "1,234.2", "1", "2,000", "-", "-", "-"]


def test_control_characters_in_names_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    station_tables.print_latest("lund", states("5", name="\x1b[2J\nX"), None, UTC)
    station_tables.print_history("lund/5", states("5", name="\x1b[2J\nX"), DAY)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 6


def test_tables_without_rows_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    station_tables.print_latest("lund", states(), None, UTC)
    station_tables.print_history("lund/5", states(), DAY)
    latest, history = capsys.readouterr().out.splitlines()
    assert latest == "no station of lund is known"
    assert history == "lund/5 reported nothing from 2024-10-01T12:00:00Z to 2024-10-02T12:00:00Z"
