"""Feed responses pass through the pollers' messages, the parser, the proxy and the server, and come back equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from privacyplease.cli.application import run
from privacyplease.client import Client
from privacyplease.ingest import bikes
from privacyplease.ingest.feeds.jcdecaux import read_stations
from tests.services import station_answers
from tests.services.proxy import proxying
from tests.services.storage import serving

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy for all tests of this module: each has a contract of its own."""
    folder = tmp_path_factory.mktemp("bikes")
    with serving(f"sqlite:///{folder / 'cells.db'}") as storage, proxying(folder / "home", storage.address) as proxy:
        yield proxy.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address, insecure=True) as client:
        yield client


@pytest.fixture
def ask(address: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command line's answer as JSON."""

    def ask(*arguments: str) -> Any:
        capsys.readouterr()
        assert run(["--proxy", address, "--insecure", "stations", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def ingest(client: Client, records: list[dict[str, Any]], polled_at: int) -> None:
    snapshot = read_stations(records, "jcdecaux-v1", polled_at)
    parsed = bikes.parse([station.message() for station in snapshot.stations])
    assert (snapshot.unreadable, parsed.rejects) == (0, [])
    (ack,) = client.ingest("bikes", [parsed.table])
    assert (ack.accepted, ack.rejections) == (len(records), ())


def moment(millis: int) -> datetime:
    return EPOCH + timedelta(milliseconds=millis)


def besancon() -> list[tuple[int, list[dict[str, Any]]]]:
    text = (station_answers.real_responses() / "besancon_snapshots_v1.ndjson").read_text(encoding="utf-8")
    polls = [json.loads(line) for line in text.splitlines()]
    return [(max(record["collect_date"] for record in poll), poll) for poll in polls]


def reported_until(millis: int) -> list[Any]:
    """The last state that each station of Besançon had reported by a time, according to all polls together."""
    reports = [record for _, poll in besancon() for record in poll if record["last_update"] <= millis]
    last = {record["number"]: record for record in sorted(reports, key=lambda record: record["last_update"])}
    return station_answers.of_response(last.values())


def test_lund_comes_back_as_it_was_sent(client: Client, ask: Any) -> None:
    records = json.loads((station_answers.real_responses() / "lund_stations_v1.json").read_bytes())
    ingest(client, records, 1_451_296_000_000)
    expected = station_answers.of_response(records)
    assert len(expected) == 17
    assert station_answers.of_states(client.stations_now("LUND")) == expected
    answer = ask("now", "Lund")
    assert answer["at"] is None
    assert [state["name"] for state in answer["stations"]] == [
        name for _, name in sorted((f"lund/{record['number']}", record["name"]) for record in records)
    ]
    assert ask("now", "lund", "--at", "2015-12-28T00:00Z")["stations"] == []


def test_each_of_ten_polls_of_besancon_comes_back_as_known_at_its_time(client: Client, ask: Any) -> None:
    polls = besancon()
    assert sum(len(records) for _, records in polls) == 300
    for polled_at, records in polls:
        ingest(client, records, polled_at)
        expected = station_answers.of_response(records)
        assert station_answers.of_states(client.stations_now("besancon")) == expected
        assert station_answers.of_states(client.stations_now("besancon", moment(polled_at))) == expected
        answer = ask("now", "Besancon", "--at", moment(polled_at).isoformat())["stations"]
        assert {(state["number"], state["name"], state["available_bikes"]) for state in answer} == {
            (row[0], row[2], row[10]) for row in expected
        }


def test_later_polls_correct_the_states_at_earlier_times(client: Client) -> None:
    """Feeds lag: a report from before one poll may appear only in the next."""
    polls = besancon()
    for polled_at, records in polls:
        ingest(client, records, polled_at)
    changed = 0
    for polled_at, records in polls:
        known = reported_until(polled_at)
        assert station_answers.of_states(client.stations_now("besancon", moment(polled_at))) == known
        changed += known != station_answers.of_response(records)
    assert changed


def test_a_stations_history_is_the_sequence_of_its_reports(client: Client, ask: Any) -> None:
    reports = {(r["last_update"], r["available_bikes"]) for _, poll in besancon() for r in poll if r["number"] == 14}
    for polled_at, records in besancon():
        ingest(client, records, polled_at)  # repeated by every test: that changes no answer
    history = list(client.station_history("Besancon/14", EPOCH, datetime(2030, 1, 1, tzinfo=UTC)))
    assert [(state.last_update, state.available_bikes) for state in history] == [
        (moment(reported), count) for reported, count in sorted(reports)
    ]
    answer = ask("history", "Besancon/14", "--from", "1970-01-01", "--to", "2030-01-01")
    assert [state["available_bikes"] for state in answer["states"]] == [state.available_bikes for state in history]


def test_availability_matches_the_totals_of_the_responses(client: Client, ask: Any) -> None:
    polls = besancon()
    for polled_at, records in polls:
        ingest(client, records, polled_at)
    for polled_at, _ in polls:
        (step,) = client.availability("besancon", moment(polled_at), moment(polled_at), timedelta(seconds=1))
        known = reported_until(polled_at)
        assert step.bikes.mean == sum(row[10] for row in known)
        assert step.stands.maximum == sum(row[11] for row in known)
    whole = ["--from", moment(polls[0][0]).isoformat(), "--to", moment(polls[-1][0]).isoformat(), "--step", "1m"]
    series = ask("availability", "besancon", *whole)["series"]
    assert len(series) == 10
    assert all(step["bikes"]["minimum"] <= step["bikes"]["mean"] <= step["bikes"]["maximum"] for step in series)
    long_ago = ["--from", "2014-01-01", "--to", "2014-01-02", "--step", "1d"]
    nothing = {"mean": None, "minimum": None, "maximum": None}
    (before,) = ask("availability", "besancon", *long_ago)["series"]
    assert (before["bikes"], before["stands"]) == (nothing, nothing)


def test_a_day_of_2400_stations_comes_back_poll_by_poll(client: Client, ask: Any) -> None:
    day = station_answers.generated_day()
    for polled_at, records in day:
        ingest(client, records, polled_at)
    for polled_at, records in day:
        expected = station_answers.of_response(records)
        assert station_answers.of_states(client.stations_now("Lyon", moment(polled_at))) == expected
    answer = ask("now", "lyon")["stations"]
    assert len(answer) == 2_400
    assert (
        sum(state["last_update"] is None for state in answer) == sum(r["last_update"] is None for r in day[-1][1]) > 0
    )
    assert sum(state["latitude"] is None for state in answer) == 2_400 // 97


def test_without_json_tables_are_printed(client: Client, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    records = json.loads((station_answers.real_responses() / "lund_stations_v1.json").read_bytes())
    ingest(client, records, 1_451_296_000_000)
    day = ["--from", "2015-12-28", "--to", "2015-12-29"]
    for arguments in (["now", "lund"], ["history", "lund/5", *day], ["availability", "lund", *day, "--step", "1h"]):
        assert run(["--proxy", address, "--insecure", "stations", *arguments]) == 0
    out = capsys.readouterr().out
    bikes_now = sum(record["available_bikes"] for record in records)
    assert f"lund: {bikes_now} bikes and " in out
    assert "lund/5, MÅRTENSTORGET, 55.70191 13.19603" in out
    assert "lund: 24 steps of 1 h" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["history", "lund", "--from", "-1d", "--to", "now"], "CONTRACT/NUMBER"),
        (["now", "lund", "--dataset", "wifi"], "no bike stations"),
        (["availability", "lund", "--from", "-1d", "--to", "now", "--step", "0s"], "at least 1 ms"),
    ],
    ids=["no number", "another data set", "no step"],
)
def test_refused_requests_say_why(
    address: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--proxy", address, "--insecure", "stations", *arguments]) == 3
    assert words in capsys.readouterr().err
