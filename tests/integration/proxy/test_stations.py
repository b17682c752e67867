"""Bike stations through a real proxy and storage server, compared with a plain search of the reports."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import grpc
import pyarrow as pa
import pytest
from google.protobuf.duration_pb2 import Duration

from privacyplease.proxy.records import dataset
from privacyplease.proxy.v1 import stations_service_pb2 as pb
from tests.services.cells import refusal
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import serving

MINUTE, DAY = 60_000, 86_400_000
NOON = 20_000 * DAY + DAY // 2
SCHEMA = dataset.load()["bikes"].schema


class Report(NamedTuple):
    """A poll of a station."""

    contract: str
    number: str
    at: int
    polled: int
    bikes: int | None


def made(seed: int = 7) -> list[Report]:
    """Reports over three days: some valid for a minute and some for two days, some polled repeatedly."""
    dice = random.Random(seed)
    reports = []
    for contract, number in [("Lund", "1"), ("Lund", "2"), ("Lund", "10"), ("Besancon", "1"), ("Besancon", "B-7")]:
        at = NOON + dice.randrange(DAY)
        while at < NOON + 3 * DAY:
            bikes = dice.choice([None, *range(12)])
            held = dice.choice([MINUTE, 20 * MINUTE, 90 * MINUTE, 2 * DAY])
            polls = sorted(dice.randrange(held) for _ in range(dice.randint(1, 3)))
            reports += [Report(contract, number, at, at + poll, bikes) for poll in polls]
            at += held
    dice.shuffle(reports)
    return reports


REPORTS = made()


def table(reports: list[Report]) -> pa.Table:
    rows = [
        {
            "station": f"{r.contract.lower()}/{r.number}",
            "contract": r.contract.lower(),
            "state_from": r.at,
            "observed_for": r.polled - r.at,
            "contract_name": r.contract,
            "number": r.number,
            "name": "MÅRTENSTORGET",
            "address": "",
            "available_bikes": r.bikes,
            "polled_at": r.polled,
        }
        for r in reports
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("stations")
    with serving(f"sqlite:///{folder / 'cells.db'}") as storage, proxying(folder / "home", storage.address) as running:
        third = len(REPORTS) // 3
        running.ingest("bikes", table(REPORTS[:third]), table(REPORTS[third:]), table(REPORTS[:third]))
        yield running


def read(pages: Any) -> list[dict[str, Any]]:
    return [row for page in pages for row in pa.ipc.open_stream(page.arrow).read_all().to_pylist()]


def states(rows: list[dict[str, Any]]) -> list[tuple[str, int, int, int | None]]:
    return [
        (
            row["station"],
            int(row["state_from"].timestamp() * 1_000),
            int(row["polled_at"].timestamp() * 1_000),
            row["available_bikes"],
        )
        for row in rows
    ]


def longest(reports: list[Report]) -> list[Report]:
    kept = {(r.contract, r.number, r.at): r for r in sorted(reports, key=lambda r: r.polled)}
    return list(kept.values())


def as_state(report: Report) -> tuple[str, int, int, int | None]:
    return f"{report.contract.lower()}/{report.number}", report.at, report.polled, report.bikes


@pytest.mark.parametrize("station", ["lund/1", "Lund/10", "BESANCON/B-7"])
@pytest.mark.parametrize(
    "ends",
    [(0, NOON + 9 * DAY), (NOON + DAY, NOON + 2 * DAY), (NOON, NOON)],
    ids=["all of time", "a day", "before all"],
)
def test_history_is_each_reported_state_once_ascending(proxy: Proxied, station: str, ends: tuple[int, int]) -> None:
    contract, number = station.split("/")
    found = read(proxy.stations.ListHistory(pb.ListHistoryRequest(station=station, interval=interval(*ends))))
    expected = [
        as_state(r)
        for r in sorted(longest(REPORTS), key=lambda r: r.at)
        if (r.contract.lower(), r.number) == (contract.lower(), number) and ends[0] <= r.at <= ends[1]
    ]
    assert states(found) == expected


def test_history_includes_both_ends_of_the_interval(proxy: Proxied) -> None:
    one = next(r for r in REPORTS if r.contract == "Lund")
    request = pb.ListHistoryRequest(station=f"lund/{one.number}", interval=interval(one.at, one.at))
    assert [state[1] for state in states(read(proxy.stations.ListHistory(request)))] == [one.at]


@pytest.mark.parametrize(
    "at",
    [None, 0, NOON, *(r.at + shift for r in REPORTS[:3] for shift in (-1, 0, 1)), NOON + 2 * DAY, NOON + 40 * DAY],
)
def test_latest_is_the_last_report_of_each_station_up_to_the_time(proxy: Proxied, at: int | None) -> None:
    given: dict[str, Any] = {} if at is None else {"at": instant(at)}
    found = read(proxy.stations.ListLatest(pb.ListLatestRequest(contract="LUND", **given)))
    last = {
        r.number: r
        for r in sorted(longest(REPORTS), key=lambda r: r.at)
        if r.contract == "Lund" and (at is None or r.at <= at)
    }
    assert states(found) == sorted(map(as_state, last.values()))


def bikes_at(at: int) -> float:
    last = {r.number: r.bikes for r in sorted(REPORTS, key=lambda r: r.at) if r.contract == "Lund" and r.at <= at}
    known = [bikes for bikes in last.values() if bikes is not None]
    return float(sum(known)) if known else math.nan


def test_availability_is_that_of_the_step_function(proxy: Proxied) -> None:
    # Steps as wide as the finest change, so that a step's mean has one or two pieces only.
    start, width, steps = NOON - MINUTE, 30 * MINUTE, 150
    request = pb.AvailabilityRequest(
        contract="lund", interval=interval(start, start + steps * width), step=Duration(seconds=width // 1_000)
    )
    (page,) = proxy.stations.Availability(request)
    assert (page.start_unix_ms, len(page.bikes.means)) == (start, steps)
    assert all(map(math.isnan, page.stands.means))
    changes = sorted({r.at for r in REPORTS})
    for number in range(steps):
        begin, end = start + number * width, start + (number + 1) * width
        closed = number == steps - 1
        cuts = [begin, *(at for at in changes if begin < at < end), end]
        values = [(bikes_at(a), b - a) for a, b in pairwise(cuts)] + [(bikes_at(end), 0)] * closed
        known = [(value, length) for value, length in values if not math.isnan(value)]
        got = page.bikes.means[number], page.bikes.minima[number], page.bikes.maxima[number]
        if not known:
            assert all(map(math.isnan, got))
            continue
        mean = sum(value * length for value, length in known) / sum(length for _, length in known)
        seen = [value for value, _ in known]
        assert got == pytest.approx((mean, min(seen), max(seen)))


def test_long_answers_come_in_pages(proxy: Proxied) -> None:
    wide = [{"station": f"wide/{n}", "contract": "wide", "state_from": NOON, "observed_for": 0} for n in range(300)]
    texts = [row | {"address": "x" * 60_000} for row in wide]  # 18 MB: more than a message may be
    proxy.ingest("bikes", *(pa.Table.from_pylist(texts[at : at + 100], SCHEMA) for at in range(0, 300, 100)))
    pages = list(proxy.stations.ListLatest(pb.ListLatestRequest(contract="wide")))
    assert max(len(page.arrow) for page in pages) < 1_200_000
    assert [row["station"] for row in read(pages)] == sorted(str(row["station"]) for row in wide)


def test_series_come_in_pages(proxy: Proxied) -> None:
    request = pb.AvailabilityRequest(
        contract="lund", interval=interval(NOON, NOON + 20_000), step=Duration(nanos=1_000_000)
    )
    pages = list(proxy.stations.Availability(request))
    assert [len(page.bikes.means) for page in pages] == [8_192, 8_192, 20_000 - 2 * 8_192]
    assert [page.start_unix_ms for page in pages] == [NOON, NOON + 8_192, NOON + 2 * 8_192]


def test_without_reports_the_stream_ends_without_a_page(proxy: Proxied) -> None:
    history = pb.ListHistoryRequest(station="nowhere/1", interval=interval(0, NOON + 9 * DAY))
    assert list(proxy.stations.ListHistory(history)) == []
    assert list(proxy.stations.ListLatest(pb.ListLatestRequest(contract="nowhere"))) == []


def test_an_unknown_contract_has_no_availability(proxy: Proxied) -> None:
    request = pb.AvailabilityRequest(
        contract="nowhere", interval=interval(NOON, NOON + DAY), step=Duration(seconds=86_400)
    )
    (page,) = proxy.stations.Availability(request)
    assert math.isnan(page.bikes.means[0])


WHEN = interval(NOON, NOON + DAY)
HOUR = Duration(seconds=3_600)


@pytest.mark.parametrize(
    ("call", "request_", "reason", "field"),
    [
        ("ListHistory", pb.ListHistoryRequest(station="lund", interval=WHEN), "INVALID_REQUEST", "station"),
        ("ListHistory", pb.ListHistoryRequest(station="/12", interval=WHEN), "INVALID_REQUEST", "station"),
        ("ListHistory", pb.ListHistoryRequest(station="lund/", interval=WHEN), "INVALID_REQUEST", "station"),
        ("ListHistory", pb.ListHistoryRequest(interval=WHEN), "INVALID_REQUEST", "station"),
        ("ListHistory", pb.ListHistoryRequest(station="lund/1"), "INVALID_INTERVAL", "interval.start"),
        (
            "ListHistory",
            pb.ListHistoryRequest(station="lund/1", interval=WHEN, dataset="wifi"),
            "UNKNOWN_DATASET",
            "dataset",
        ),
        ("ListLatest", pb.ListLatestRequest(), "INVALID_REQUEST", "contract"),
        ("ListLatest", pb.ListLatestRequest(contract="lund", at=instant(-1)), "INVALID_INTERVAL", "at"),
        ("ListLatest", pb.ListLatestRequest(contract="lund", dataset="wifi"), "UNKNOWN_DATASET", "dataset"),
        ("ListLatest", pb.ListLatestRequest(contract="lund", dataset="nope"), "UNKNOWN_DATASET", "dataset"),
        ("Availability", pb.AvailabilityRequest(interval=WHEN, step=HOUR), "INVALID_REQUEST", "contract"),
        ("Availability", pb.AvailabilityRequest(contract="lund", interval=WHEN), "INVALID_REQUEST", "step"),
        (
            "Availability",
            pb.AvailabilityRequest(contract="lund", interval=WHEN, step=Duration(nanos=1_000_000)),
            "INVALID_REQUEST",
            "step",
        ),
        (
            "Availability",
            pb.AvailabilityRequest(contract="lund", interval=WHEN, step=HOUR, dataset="wifi"),
            "UNKNOWN_DATASET",
            "dataset",
        ),
    ],
    ids=[
        *("history: no slash", "history: no contract", "history: no number", "history: no station"),
        *("history: no interval", "history: no stations", "latest: no contract", "latest: before 1970"),
        *("latest: no stations", "latest: no data set", "availability: no contract", "availability: no step"),
        *("availability: too many steps", "availability: no stations"),
    ],
)
def test_an_invalid_request_is_refused_naming_the_field(
    proxy: Proxied, call: str, request_: Any, reason: str, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(getattr(proxy.stations, call)(request_))
    _, info, violations = refusal(refused.value)
    assert (info.reason, list(violations)) == (f"ERROR_REASON_{reason}", [field])
