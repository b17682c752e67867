import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pyarrow as pa
import pytest

from privacyplease.client import AsyncClient, Client, Column, Manifest, Peak, PlaceCount, Session, Step, errors
from privacyplease.proxy.v1 import occupancy_service_pb2, presence_service_pb2, query_service_pb2
from privacyplease.proxy.v1.admin_service_pb2 import Answers, GetStatusResponse, Keyring, Refusals, Storage
from privacyplease.proxy.v1.admin_service_pb2 import Manifest as ManifestMessage
from privacyplease.proxy.v1.error_reason_pb2 import ERROR_REASON_CELLS_MISSING

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
EIGHT_MS = 1_727_769_600_000
TOKYO = timezone(timedelta(hours=9))


def _page(device: str, *sessions: tuple[str, int, int]) -> presence_service_pb2.FindSessionsResponse:
    places, starts, ends = zip(*sessions, strict=True) if sessions else ((), (), ())
    columns = presence_service_pb2.Sessions(places=places, starts_unix_ms=starts, ends_unix_ms=ends)
    return presence_service_pb2.FindSessionsResponse(device=device, present=bool(sessions), sessions=columns)


def test_presence_joins_its_pages(proxy: Any, client: Client) -> None:
    pages = [_page("aa", ("ap-1", EIGHT_MS, EIGHT_MS)), _page("aa", ("ap-2", EIGHT_MS, EIGHT_MS + 45_001))]
    proxy.on("FindSessions", lambda request, context: iter(pages))
    presence = client.presence("AA", *DAY, place="ap-1", purpose="lost key")
    assert (presence.device, presence.present, len(presence.sessions)) == ("aa", True, 2)
    assert list(presence.sessions)[1] == Session("ap-2", EIGHT, EIGHT + timedelta(seconds=45, milliseconds=1))
    (request,) = proxy.requests["FindSessions"]
    assert (request.dataset, request.device, request.place, request.purpose) == ("wifi", "AA", "ap-1", "lost key")


def test_presence_of_nobody_is_no_error(proxy: Any, client: Client) -> None:
    proxy.on("FindSessions", lambda request, context: iter([_page("aa")]))
    presence = client.presence("aa", *DAY)
    assert not presence.present
    assert list(presence.sessions) == []
    assert presence.sessions.to_arrow().num_rows == 0


def test_sessions_become_a_table_and_a_frame(proxy: Any, client: Client) -> None:
    proxy.on("FindSessions", lambda request, context: iter([_page("aa", ("ap-1", EIGHT_MS, EIGHT_MS + 1))]))
    sessions = client.presence("aa", *DAY).sessions
    instant = pa.timestamp("ms", tz="UTC")
    assert sessions.to_arrow().schema == pa.schema({"place": pa.string(), "start": instant, "end": instant})
    assert sessions.to_pandas()["start"][0] == EIGHT
    assert sessions.to_polars().row(0) == ("ap-1", EIGHT, EIGHT + timedelta(milliseconds=1))


def test_times_are_sent_to_the_millisecond_in_any_zone(proxy: Any, client: Client) -> None:
    proxy.on("Count", lambda request, context: occupancy_service_pb2.CountResponse(distinct_devices=7))
    start = datetime(2024, 10, 1, 17, 0, 0, 123_999, tzinfo=TOKYO)
    assert client.count(start, start) == 7
    (request,) = proxy.requests["Count"]
    assert (request.interval.start.seconds, request.interval.start.nanos) == (EIGHT_MS // 1000, 123_000_000)


def test_a_count_knows_whether_it_is_exact(proxy: Any, client: Client) -> None:
    bounds = occupancy_service_pb2.Estimate(at_least=89_300, at_most=90_700)
    answers: list[dict[str, Any]] = [{"distinct_devices": 7}, {"distinct_devices": 90_000, "estimate": bounds}]
    proxy.on("Count", lambda request, context: occupancy_service_pb2.CountResponse(**answers[not request.exact]))
    exact, estimate = client.count(*DAY, exact=True), client.count(*DAY)
    assert (exact, exact.exact, exact.at_least, exact.at_most) == (7, True, 7, 7)
    assert (estimate, estimate.exact, estimate.at_least, estimate.at_most) == (90_000, False, 89_300, 90_700)


@pytest.mark.parametrize("which", [0, 1])
def test_a_time_without_zone_is_refused_before_anything_is_sent(which: int, proxy: Any, client: Client) -> None:
    interval = list(DAY)
    interval[which] = interval[which].replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        client.count(*interval)
    assert not proxy.requests["Count"]


def _series(start_ms: int, *counts: int) -> occupancy_service_pb2.SeriesResponse:
    peak = occupancy_service_pb2.Peak(distinct_devices=9)
    peak.at.FromSeconds(EIGHT_MS // 1000)
    return occupancy_service_pb2.SeriesResponse(start_unix_ms=start_ms, distinct_devices=counts, peak=peak)


def test_occupancy_joins_its_pages(proxy: Any, client: Client) -> None:
    pages = [_series(EIGHT_MS, 9, 1), _series(EIGHT_MS + 1_800_000, 2)]
    proxy.on("Series", lambda request, context: iter(pages))
    quarter = timedelta(minutes=15)
    occupancy = client.occupancy(*DAY, quarter)
    assert occupancy.peak == Peak(EIGHT, 9)
    assert list(occupancy.series) == [Step(EIGHT, 9), Step(EIGHT + quarter, 1), Step(EIGHT + 2 * quarter, 2)]
    assert occupancy.to_arrow()["distinct_devices"].to_pylist() == [9, 1, 2]
    assert occupancy.to_pandas()["at"][2] == EIGHT + 2 * quarter
    assert proxy.requests["Series"][0].step.seconds == 900


def test_peak_comes_alone(proxy: Any, client: Client) -> None:
    response = occupancy_service_pb2.PeakResponse(peak=_series(0).peak)
    proxy.on("Peak", lambda request, context: response)
    assert client.peak(*DAY, timedelta(hours=1)) == Peak(EIGHT, 9)


def test_places_may_be_none(proxy: Any, client: Client) -> None:
    page = occupancy_service_pb2.CountByPlaceResponse(places=["ap-1"], distinct_devices=[3])
    proxy.on("CountByPlace", lambda r, c: iter([]), lambda r, c: iter([page]))
    assert len(client.count_by_place(*DAY)) == 0
    counts = client.count_by_place(*DAY)
    assert list(counts) == [PlaceCount("ap-1", 3)]
    assert counts.to_pandas()["distinct_devices"].tolist() == [3]


BATCHES = [pa.record_batch({"mac": [f"m{i}{j}" for j in range(3)]}) for i in range(4)]


def _arrow_pages(page_size: int, batches: list[pa.RecordBatch] = BATCHES) -> list[query_service_pb2.QueryResponse]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, BATCHES[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    arrow = sink.getvalue().to_pybytes()
    pages = [arrow[at : at + page_size] for at in range(0, len(arrow), page_size)]
    total = sum(batch.num_rows for batch in batches)
    return [
        query_service_pb2.QueryResponse(arrow=page, records=0 if number else total) for number, page in enumerate(pages)
    ]


@pytest.mark.parametrize("page_size", [7, 1_000_000])
def test_records_come_batch_by_batch_wherever_pages_are_cut(page_size: int, proxy: Any, client: Client) -> None:
    proxy.on("Query", lambda request, context: iter(_arrow_pages(page_size)))
    assert list(client.query("wifi", *DAY)) == BATCHES
    assert client.query("wifi", *DAY).to_arrow() == pa.Table.from_batches(BATCHES)
    assert len(client.query("wifi", *DAY).to_pandas()) == 12
    assert client.query("wifi", *DAY).to_polars()["mac"].to_list()[-1] == "m32"


def test_records_tell_how_many_they_are_while_they_come(proxy: Any, client: Client) -> None:
    proxy.on("Query", lambda request, context: iter(_arrow_pages(7)))
    records = client.query("wifi", *DAY)
    assert [(batch.num_rows, records.total()) for batch in records] == [(3, 12)] * 4


def test_long_answers_are_streamed_to_asyncio_with_progress(proxy: Any) -> None:
    proxy.on("Query", lambda request, context: iter(_arrow_pages(7)))

    async def progress() -> list[float]:
        async with AsyncClient(proxy.address, insecure=True) as client:
            records = client.query("wifi", *DAY)
            total, done, told = await records.total(), 0, []
            async for batch in records:
                done += batch.num_rows
                told.append(done / total)
            return told

    assert asyncio.run(progress()) == [0.25, 0.5, 0.75, 1.0]


def test_records_keep_their_schema_if_there_are_none(proxy: Any, client: Client) -> None:
    proxy.on("Query", lambda request, context: iter(_arrow_pages(100, [])))
    records = client.query("wifi", *DAY, subject="m1", place="ap-1", columns=["mac"])
    assert records.schema() == BATCHES[0].schema
    assert list(records) == []
    request = proxy.requests["Query"][0]
    assert (request.subject, request.place, list(request.columns)) == ("m1", "ap-1", ["mac"])


def test_an_error_in_the_middle_of_records_is_raised_while_reading(proxy: Any, client: Client, scripts: Any) -> None:
    refuse = scripts.refuse(grpc.StatusCode.DATA_LOSS, "bad", scripts.reason("ERROR_REASON_CELL_DAMAGED"))

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        yield from _arrow_pages(50)[:8]
        refuse(request, context)

    proxy.on("Query", answer)
    with pytest.raises(errors.CellDamagedError):
        client.query("wifi", *DAY).to_arrow()


def test_a_torn_stream_of_records_is_never_taken_for_a_whole_one(proxy: Any, client: Client) -> None:
    proxy.on("Query", lambda request, context: iter(_arrow_pages(50)[:8]))
    with pytest.raises(errors.FaultError, match="whole Arrow stream"):
        client.query("wifi", *DAY).to_arrow()


def test_questions_are_asked_again_while_the_proxy_is_away(proxy: Any, client: Client, scripts: Any) -> None:
    answer = occupancy_service_pb2.CountResponse(distinct_devices=1)
    proxy.on("Count", scripts.refuse(grpc.StatusCode.UNAVAILABLE), lambda request, context: answer)
    assert client.count(*DAY) == 1
    assert len(proxy.requests["Count"]) == 2


def test_refused_questions_are_not_asked_again(proxy: Any, client: Client, scripts: Any) -> None:
    proxy.on("Count", scripts.refuse(grpc.StatusCode.INVALID_ARGUMENT))
    with pytest.raises(errors.RequestError):
        client.count(*DAY)
    assert len(proxy.requests["Count"]) == 1


def test_status_and_datasets_are_typed(proxy: Any, client: Client) -> None:
    newer: Any = 999  # a reason that this SDK does not know
    status = GetStatusResponse(
        version="0.1.0",
        keyrings=[Keyring(dataset="wifi", epochs=[664, 665], epoch_days=30)],
        storage=Storage(reachable=True, store="sqlite 3.40", cells=5, bytes=1024),
        answers=Answers(
            whole=7, refused=[Refusals(reason=ERROR_REASON_CELLS_MISSING, answers=2), Refusals(reason=newer, answers=1)]
        ),
        manifest=ManifestMessage(
            version=12,
            live_segments=3,
            retired_segments=2,
            unsettled_segments=1,
            outgrown_cells=4,
            witnesses=1,
            witness_failures=5,
        ),
    )
    dataset = query_service_pb2.Dataset(
        name="wifi",
        columns=[query_service_pb2.Column(name="mac", type="mac")],
    )
    proxy.on("GetStatus", lambda request, context: status)
    proxy.on("ListDatasets", lambda request, context: query_service_pb2.ListDatasetsResponse(datasets=[dataset]))
    assert client.status().keyrings[0].epochs == (664, 665)
    assert client.status().storage.bytes == 1024
    assert client.status().answers.whole == 7
    assert client.status().answers.refused == {"CELLS_MISSING": 2, "999": 1}
    assert client.status().manifest == Manifest(12, 3, 2, 1, 4, 1, 5)
    assert client.datasets()[0].columns == (Column("mac", "mac"),)


def test_the_async_client_gives_the_same_answers(proxy: Any, client: Client) -> None:
    proxy.on("FindSessions", lambda r, c: iter([_page("aa", ("ap-1", EIGHT_MS, EIGHT_MS))]))
    proxy.on("Count", lambda r, c: occupancy_service_pb2.CountResponse(distinct_devices=7))
    proxy.on("CountByPlace", lambda r, c: iter([]))
    proxy.on("Series", lambda r, c: iter([_series(EIGHT_MS, 9)]))
    proxy.on("Peak", lambda r, c: occupancy_service_pb2.PeakResponse(peak=_series(0).peak))
    proxy.on("Query", lambda r, c: iter(_arrow_pages(7)))
    hour = timedelta(hours=1)

    async def ask() -> list[Any]:
        async with AsyncClient(proxy.address, insecure=True, timeout=5) as client:
            return [
                await client.presence("aa", *DAY),
                await client.count(*DAY),
                await client.count_by_place(*DAY),
                await client.occupancy(*DAY, hour),
                await client.peak(*DAY, hour),
                [batch async for batch in client.query("wifi", *DAY)],
                (await client.query("wifi", *DAY).to_arrow()),
            ]

    assert asyncio.run(ask()) == [
        client.presence("aa", *DAY),
        client.count(*DAY),
        client.count_by_place(*DAY),
        client.occupancy(*DAY, hour),
        client.peak(*DAY, hour),
        list(client.query("wifi", *DAY)),
        client.query("wifi", *DAY).to_arrow(),
    ]


def test_the_async_client_raises_the_same_errors(proxy: Any, scripts: Any) -> None:
    refuse = scripts.refuse(grpc.StatusCode.DATA_LOSS, "bad", scripts.reason("ERROR_REASON_CELL_DAMAGED"))
    proxy.on("Count", refuse)
    proxy.on("Query", refuse)

    async def ask() -> None:
        async with AsyncClient(proxy.address, insecure=True, timeout=5) as client:
            with pytest.raises(errors.CellDamagedError):
                await client.count(*DAY)
            with pytest.raises(errors.CellDamagedError):
                await client.query("wifi", *DAY).to_arrow()

    asyncio.run(ask())
