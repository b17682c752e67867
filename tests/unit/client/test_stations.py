import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pyarrow as pa
import pytest

from privacyplease.client import AsyncClient, AvailabilityStep, Client, Spread, StationState, errors
from privacyplease.client._internal.tables.station_rows import _SCHEMA
from privacyplease.proxy.records import dataset
from privacyplease.proxy.v1 import stations_service_pb2 as pb

NOON = datetime(2024, 10, 1, 12, tzinfo=UTC)
NOON_MS = 1_727_784_000_000
DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

STATE = StationState(
    station="lund/5",
    contract="lund",
    state_from=NOON,
    observed_for=timedelta(seconds=60, milliseconds=1),
    contract_name="Lund",
    number="5",
    name="MÅRTENSTORGET",
    address="",
    latitude=55.7019107380952,
    longitude=13.196025788784,
    banking=True,
    bonus=False,
    status="OPEN",
    bike_stands=30,
    available_bikes=3,
    available_bike_stands=27,
    last_update=None,
    source="jcdecaux-v1",
    polled_at=NOON + timedelta(seconds=60, milliseconds=1),
)


def _arrow(*states: StationState) -> bytes:
    rows = [{name: getattr(state, name) for name in state.__slots__} for state in states]
    table = pa.Table.from_pylist(rows, dataset.load()["bikes"].schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _script(proxy: Any, *pages: bytes) -> None:
    proxy.on("ListHistory", lambda request, context: iter([pb.ListHistoryResponse(arrow=page) for page in pages]))
    proxy.on("ListLatest", lambda request, context: iter([pb.ListLatestResponse(arrow=page) for page in pages]))


def _availability(start_ms: int, *bikes: tuple[float, float, float]) -> pb.AvailabilityResponse:
    means, minima, maxima = zip(*bikes, strict=True)
    known = pb.Statistics(means=means, minima=minima, maxima=maxima)
    none = pb.Statistics(means=[math.nan] * len(bikes), minima=[math.nan] * len(bikes), maxima=[math.nan] * len(bikes))
    return pb.AvailabilityResponse(start_unix_ms=start_ms, bikes=known, stands=none)


def test_the_columns_are_those_of_the_data_set() -> None:
    assert _SCHEMA.equals(dataset.load()["bikes"].schema)
    assert tuple(_SCHEMA.names) == StationState.__slots__


def test_history_joins_its_pages(proxy: Any, client: Client) -> None:
    _script(proxy, _arrow(STATE), _arrow(STATE, STATE))
    history = client.station_history("Lund/5", *DAY)
    assert len(history) == 3
    assert list(history) == [STATE] * 3
    assert history.to_arrow().num_rows == 3
    assert history.to_pandas()["name"][0] == "MÅRTENSTORGET"
    (request,) = proxy.requests["ListHistory"]
    assert (request.dataset, request.station, request.interval.start.seconds) == ("bikes", "Lund/5", 1_727_740_800)


def test_stations_now_works_with_and_without_a_time(proxy: Any, client: Client) -> None:
    _script(proxy, _arrow(STATE))
    assert list(client.stations_now("lund")) == list(client.stations_now("lund", NOON)) == [STATE]
    without, with_time = proxy.requests["ListLatest"]
    assert not without.HasField("at")
    assert with_time.at.seconds == NOON_MS // 1_000


def test_an_unknown_contract_is_not_an_error(proxy: Any, client: Client) -> None:
    _script(proxy)
    states = client.stations_now("nowhere")
    assert (len(states), list(states)) == (0, [])
    assert states.to_arrow().schema == dataset.load()["bikes"].schema


def test_a_missing_column_is_none(proxy: Any, client: Client) -> None:
    table = pa.ipc.open_stream(_arrow(STATE)).read_all().drop_columns(["bonus", "polled_at"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    _script(proxy, bytes(sink.getvalue().to_pybytes()))
    (state,) = client.stations_now("lund")
    assert (state.bonus, state.polled_at, state.banking) == (None, None, True)


def test_an_unreadable_page_is_a_fault(proxy: Any, client: Client) -> None:
    _script(proxy, _arrow(STATE)[:-200])
    with pytest.raises(errors.FaultError, match="complete Arrow stream"):
        client.station_history("lund/5", *DAY)


def test_availability_joins_its_pages_and_has_none_for_unknown(proxy: Any, client: Client) -> None:
    nothing = (math.nan, math.nan, math.nan)
    pages = [_availability(NOON_MS, nothing, (2.5, 1.0, 4.0)), _availability(NOON_MS + 1_800_000, (3.0, 3.0, 3.0))]
    proxy.on("Availability", lambda request, context: iter(pages))
    availability = client.availability("lund", *DAY, QUARTER)
    unknown = Spread(None, None, None)
    assert list(availability) == [
        AvailabilityStep(NOON, unknown, unknown),
        AvailabilityStep(NOON + QUARTER, Spread(2.5, 1, 4), unknown),
        AvailabilityStep(NOON + 2 * QUARTER, Spread(3.0, 3, 3), unknown),
    ]
    assert len(availability) == 3
    assert availability.to_arrow()["bikes_max"].to_pylist() == [None, 4, 3]
    assert availability.to_arrow()["stands_mean"].null_count == 3
    assert availability.to_pandas()["at"][2] == NOON + 2 * QUARTER
    assert proxy.requests["Availability"][0].step.seconds == 900


def test_the_async_client_gives_the_same_answers(proxy: Any, client: Client) -> None:
    _script(proxy, _arrow(STATE))
    proxy.on("Availability", lambda request, context: iter([_availability(NOON_MS, (1.0, 1.0, 1.0))]))

    async def ask() -> list[Any]:
        async with AsyncClient(proxy.address, insecure=True, timeout=5) as client:
            return [
                await client.station_history("lund/5", *DAY),
                await client.stations_now("lund", NOON),
                await client.availability("lund", *DAY, QUARTER),
            ]

    assert asyncio.run(ask()) == [
        client.station_history("lund/5", *DAY),
        client.stations_now("lund", NOON),
        client.availability("lund", *DAY, QUARTER),
    ]


def test_station_questions_are_retried_while_the_proxy_is_unavailable(proxy: Any, client: Client, scripts: Any) -> None:
    answer = [pb.ListLatestResponse(arrow=_arrow(STATE))]
    proxy.on("ListLatest", scripts.refuse(grpc.StatusCode.UNAVAILABLE), lambda request, context: iter(answer))
    assert len(client.stations_now("lund")) == 1


def test_a_time_without_a_zone_is_rejected(client: Client) -> None:
    with pytest.raises(ValueError, match="time zone"):
        client.stations_now("lund", datetime(2024, 10, 1))
