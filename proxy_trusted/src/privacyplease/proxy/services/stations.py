"""StationsService: bikes and stands, now and over time."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pyarrow as pa

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.errors import InvalidRequestError, UnknownDatasetError
from privacyplease.proxy.query import presence, stations
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.query.stations import Statistics
from privacyplease.proxy.records.dataset import BIKES, STANDS, Dataset
from privacyplease.proxy.records.tables import latest, longest, shown, starting_in
from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval
from privacyplease.proxy.v1 import stations_service_pb2 as pb
from privacyplease.proxy.v1 import stations_service_pb2_grpc as pb_grpc

STATES_PER_PAGE = 2_048
PAGE_BYTES = 1024 * 1024
STEPS_PER_PAGE = 8_192


class StationsService(pb_grpc.StationsServiceServicer):
    """Answers from every column of the segments in the interval."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @streaming
    def ListHistory(  # noqa: N802
        self, request: pb.ListHistoryRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListHistoryResponse]:
        """Streams the states that a station reported in the interval."""
        dataset = self._dataset(request.dataset)
        interval = requests.interval(request.interval)
        question = Question(dataset, interval, _station(request.station, dataset), columns=tuple(dataset.others))
        with self._search.ask(question) as answer:
            states = presence.records(answer.hits, dataset, question.columns)
        reported = starting_in(states, dataset, interval)
        yield from (pb.ListHistoryResponse(arrow=page) for page in _pages(reported, dataset))

    @streaming
    def ListLatest(  # noqa: N802
        self, request: pb.ListLatestRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListLatestResponse]:
        """Streams the last state of each station of a contract up to a time."""
        dataset = self._dataset(request.dataset)
        contract = _contract(request.contract, dataset)
        until = requests.instant(request.at, "at") if request.HasField("at") else LATEST
        states = self._latest(dataset, contract, until)
        yield from (pb.ListLatestResponse(arrow=page) for page in _pages(states, dataset))

    @streaming
    def Availability(  # noqa: N802
        self, request: pb.AvailabilityRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.AvailabilityResponse]:
        """Streams mean, minimum and maximum of the bikes and stands of a contract in each step."""
        dataset = self._dataset(request.dataset)
        interval = requests.interval(request.interval)
        steps = requests.steps(interval, request.step)
        contract = _contract(request.contract, dataset)
        before = self._latest(dataset, contract, interval.start)
        question = Question(dataset, interval, places=contract, columns=tuple(dataset.others))
        with self._search.ask(question) as answer:
            states = longest(
                pa.concat_tables([before, *(hit.table(dataset, question.columns) for hit in answer.hits)]), dataset
            )
        bikes, stands = (stations.availability(states, dataset, column, steps) for column in (BIKES, STANDS))
        for begin in range(0, steps.number, STEPS_PER_PAGE):
            yield pb.AvailabilityResponse(
                start_unix_ms=interval.start + begin * steps.width,
                bikes=_statistics(bikes, begin),
                stands=_statistics(stands, begin),
            )

    def _dataset(self, name: str) -> Dataset:
        dataset = requests.dataset(name or requests.DEFAULT_STATIONS, self._datasets)
        if not dataset.is_stations:
            raise UnknownDatasetError(f"data set {dataset.name!r} has no bike stations", field="dataset")
        return dataset

    def _latest(self, dataset: Dataset, contract: pa.Scalar, until: int) -> pa.Table:
        """The last state of each station up to an instant. Only the candidates of each segment are kept in memory."""
        question = Question(dataset, Interval(EARLIEST, until), places=contract, columns=tuple(dataset.others))
        names = [*dataset.required, *question.columns]
        empty = pa.schema([dataset.schema.field(name) for name in names]).empty_table()
        with self._search.ask(question) as answer:
            candidates = [latest(hit.table(dataset, question.columns), dataset) for hit in answer.hits]
        return latest(pa.concat_tables([empty, *candidates]), dataset)


def _station(name: str, dataset: Dataset) -> pa.Scalar:
    contract, _, number = name.partition("/")
    if not contract or not number:
        raise InvalidRequestError('expected a station in the form "CONTRACT/NUMBER"', field="station")
    return requests.key(f"{contract.casefold()}/{number}", dataset.subject, dataset, "station")


def _contract(name: str, dataset: Dataset) -> pa.Scalar:
    if not name:
        raise InvalidRequestError("expected the name of a contract, got none", field="contract")
    return requests.key(name.casefold(), dataset.place, dataset, "contract")


def _pages(states: pa.Table, dataset: Dataset) -> Iterator[bytes]:
    """The states in pages, each an Arrow IPC stream: halved until a page is small enough, since texts may be long."""
    if len(states) > 1 and (len(states) > STATES_PER_PAGE or states.nbytes > PAGE_BYTES):
        half = len(states) // 2
        yield from _pages(states.slice(0, half), dataset)
        yield from _pages(states.slice(half), dataset)
    elif len(states):
        page = shown(states.select(list(dataset.columns)), dataset)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, page.schema) as writer:
            writer.write_table(page)
        yield sink.getvalue().to_pybytes()


def _statistics(series: Statistics, begin: int) -> pb.Statistics:
    page = slice(begin, begin + STEPS_PER_PAGE)
    return pb.Statistics(
        means=series.means[page].tolist(), minima=series.minima[page].tolist(), maxima=series.maxima[page].tolist()
    )
