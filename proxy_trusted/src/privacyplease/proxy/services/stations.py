"""StationsService: bikes and stands, now and over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import grpc
import pyarrow as pa

from privacyplease.proxy import stations
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.errors import InvalidRequestError, UnknownDatasetError
from privacyplease.proxy.records.dataset import PLACE, SUBJECT, Dataset, Index
from privacyplease.proxy.records.tables import latest, longest, shown, starting_in
from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval
from privacyplease.proxy.search import Search
from privacyplease.proxy.stations import BIKES, STANDS, Statistics
from privacyplease.proxy.v1 import stations_service_pb2 as pb
from privacyplease.proxy.v1 import stations_service_pb2_grpc as pb_grpc

STATES_PER_PAGE = 2_048
PAGE_BYTES = 1024 * 1024
STEPS_PER_PAGE = 8_192


class StationsService(pb_grpc.StationsServiceServicer):
    """Answers a station's history from the subject index and all else from the place index."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @streaming
    def ListHistory(  # noqa: N802
        self, request: pb.ListHistoryRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListHistoryResponse]:
        """See the contract."""
        dataset, index = self._asked(request.dataset, SUBJECT)
        interval = requests.interval(request.interval)
        station = _station(request.station, dataset)
        states = self._search.find(dataset, index, interval, station, index.columns)
        reported = starting_in(longest(_joined(states, dataset, index), dataset), dataset, interval)
        yield from (pb.ListHistoryResponse(arrow=page) for page in _pages(reported, dataset))

    @streaming
    def ListLatest(  # noqa: N802
        self, request: pb.ListLatestRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListLatestResponse]:
        """See the contract."""
        dataset, index = self._asked(request.dataset, PLACE)
        contract = _contract(request.contract, dataset)
        at = requests.instant(request.at, "at") if request.HasField("at") else LATEST
        states = self._latest(dataset, index, contract, at)
        yield from (pb.ListLatestResponse(arrow=page) for page in _pages(states, dataset))

    @streaming
    def Availability(  # noqa: N802
        self, request: pb.AvailabilityRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.AvailabilityResponse]:
        """See the contract."""
        dataset, index = self._asked(request.dataset, PLACE)
        interval = requests.interval(request.interval)
        steps = requests.steps(interval, request.step)
        contract = _contract(request.contract, dataset)
        before = self._latest(dataset, index, contract, interval.start)
        later = self._search.find(dataset, index, interval, contract, index.columns)
        states = longest(pa.concat_tables([before, *later]), dataset)
        bikes, stands = (stations.availability(states, dataset, column, steps) for column in (BIKES, STANDS))
        for begin in range(0, steps.number, STEPS_PER_PAGE):
            yield pb.AvailabilityResponse(
                start_unix_ms=interval.start + begin * steps.width,
                bikes=_statistics(bikes, begin),
                stands=_statistics(stands, begin),
            )

    def _asked(self, name: str, by: str) -> tuple[Dataset, Index]:
        dataset = requests.dataset(name or requests.DEFAULT_STATIONS, self._datasets)
        index = requests.index(by, dataset)
        if not {BIKES, STANDS} <= set(index.columns):
            raise UnknownDatasetError(f"data set {dataset.name!r} has no bike stations", field="dataset")
        return dataset, index

    def _latest(self, dataset: Dataset, index: Index, contract: pa.Scalar, at: int) -> pa.Table:
        """The last state of each station up to an instant. Of each page only the candidates are kept."""
        pages = self._search.find(dataset, index, Interval(EARLIEST, at), contract, index.columns)
        return latest(_joined((latest(page, dataset) for page in pages), dataset, index), dataset)


def _station(name: str, dataset: Dataset) -> pa.Scalar:
    contract, _, number = name.partition("/")
    if not contract or not number:
        raise InvalidRequestError('expected a station as "CONTRACT/NUMBER"', field="station")
    return requests.key(f"{contract.casefold()}/{number}", dataset.subject, dataset, "station")


def _contract(name: str, dataset: Dataset) -> pa.Scalar:
    if not name:
        raise InvalidRequestError("expected the name of a contract, got none", field="contract")
    return requests.key(name.casefold(), dataset.place, dataset, "contract")


def _joined(pages: Iterable[pa.Table], dataset: Dataset, index: Index) -> pa.Table:
    return pa.concat_tables([dataset.carried(index).empty_table(), *pages])


def _pages(states: pa.Table, dataset: Dataset) -> Iterator[bytes]:
    """The states in pages, each an Arrow IPC stream: halved until it is small enough, since texts may be long."""
    if len(states) > 1 and (len(states) > STATES_PER_PAGE or states.nbytes > PAGE_BYTES):
        half = len(states) // 2
        yield from _pages(states.slice(0, half), dataset)
        yield from _pages(states.slice(half), dataset)
    elif len(states):
        page = shown(states, dataset)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, page.schema) as writer:
            writer.write_table(page)
        yield sink.getvalue().to_pybytes()


def _statistics(of: Statistics, begin: int) -> pb.Statistics:
    page = slice(begin, begin + STEPS_PER_PAGE)
    return pb.Statistics(
        means=of.means[page].tolist(), minima=of.minima[page].tolist(), maxima=of.maxima[page].tolist()
    )
