"""OccupancyService: how many people, by time and place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy import occupancy
from privacyplease.proxy.dwell import dwell
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering, streaming
from privacyplease.proxy.occupancy import Numbers, Steps
from privacyplease.proxy.places import places_of
from privacyplease.proxy.records.dataset import PLACE, Dataset, Index
from privacyplease.proxy.records.tables import Sought
from privacyplease.proxy.records.timeline import EARLIEST, Interval
from privacyplease.proxy.rollups import Rollups, count_devices
from privacyplease.proxy.search import Search
from privacyplease.proxy.v1 import occupancy_service_pb2 as pb
from privacyplease.proxy.v1 import occupancy_service_pb2_grpc as pb_grpc

STEPS_PER_PAGE = 8_192
PLACES_PER_PAGE = 8_192


class OccupancyService(pb_grpc.OccupancyServiceServicer):
    """Answers from the place index."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @answering
    def Count(self, request: pb.CountRequest, _context: grpc.ServicerContext) -> pb.CountResponse:  # noqa: N802
        """See the contract."""
        asked = self._asked(request)
        devices, bounds = count_devices(
            lambda rollups: self._find(asked, asked.dataset.subject, rollups=rollups),
            asked.dataset,
            exact=request.exact,
        )
        return pb.CountResponse(distinct_devices=devices, estimate=estimate(bounds))

    @streaming
    def CountByPlace(  # noqa: N802
        self, request: pb.CountByPlaceRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.CountByPlaceResponse]:
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        asked, groups = _Asked(dataset, requests.interval(request.interval), None), requests.groups(request.groups)
        places, counts = self._by_place(asked, groups)
        for page in _pages(len(places), PLACES_PER_PAGE):
            yield pb.CountByPlaceResponse(places=places[page], distinct_devices=counts[page])

    @streaming
    def Series(  # noqa: N802
        self, request: pb.SeriesRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.SeriesResponse]:
        """See the contract."""
        steps, counts = self._series(request)
        peak = _peak(steps, counts)
        for begin in range(0, steps.number, STEPS_PER_PAGE):
            yield pb.SeriesResponse(
                start_unix_ms=steps.interval.start + begin * steps.width,
                distinct_devices=counts[begin : begin + STEPS_PER_PAGE].tolist(),
                peak=peak,
            )

    @answering
    def Peak(self, request: pb.PeakRequest, _context: grpc.ServicerContext) -> pb.PeakResponse:  # noqa: N802
        """See the contract."""
        return pb.PeakResponse(peak=_peak(*self._series(request)))

    @streaming
    def ListPlaces(  # noqa: N802
        self, request: pb.ListPlacesRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListPlacesResponse]:
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        index = _locating(dataset)
        columns = [dataset.place] + ([dataset.location] if dataset.location in index.columns else [])
        found = self._search.find(dataset, index, requests.interval(request.interval), None, columns)
        places, locations = places_of(found, dataset)
        for page in _pages(len(places), PLACES_PER_PAGE):
            yield pb.ListPlacesResponse(places=places[page], locations=locations[page])

    @answering
    def Dwell(self, request: pb.DwellRequest, _context: grpc.ServicerContext) -> pb.DwellResponse:  # noqa: N802
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        interval, bounds = requests.interval(request.interval), requests.bounds(request.bounds)
        since = max(EARLIEST, interval.start - requests.millis(request.look_back, "look_back"))
        asked = _Asked(dataset, Interval(since, interval.end), requests.places(request.places, dataset))
        found = dwell(self._find(asked, dataset.subject, dataset.place), dataset, interval, bounds)
        answer = pb.DwellResponse(
            sessions=found.sessions, returning_devices=found.returning_devices, new_devices=found.new_devices
        )
        if found.median is not None:
            answer.median.FromMilliseconds(found.median)
        return answer

    def _by_place(self, asked: _Asked, groups: dict[str, str]) -> tuple[list[str], list[int]]:
        dataset, rollups = asked.dataset, Rollups()
        pages = self._find(asked, dataset.subject, dataset.place, rollups=rollups)
        pairs = occupancy.subjects_by_place(pages, dataset, groups)
        if not rollups.tables:
            return occupancy.count_pairs(pairs, dataset)
        if summed := rollups.people_by_place(pairs, dataset, groups):
            return summed
        return occupancy.count_by_place(self._find(asked, dataset.subject, dataset.place), dataset, groups)

    def _series(self, request: pb.SeriesRequest | pb.PeakRequest) -> tuple[Steps, Numbers]:
        asked = self._asked(request)
        steps = requests.steps(asked.interval, request.step)
        return steps, occupancy.series(self._find(asked, asked.dataset.subject), asked.dataset, steps)

    def _asked(self, request: pb.CountRequest | pb.SeriesRequest | pb.PeakRequest) -> _Asked:
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        places = requests.places(request.places, dataset, request.place)
        return _Asked(dataset, requests.interval(request.interval), places)

    def _find(self, asked: _Asked, *columns: str, rollups: Rollups | None = None) -> Iterator[pa.Table]:
        index = requests.index(PLACE, asked.dataset)
        return self._search.find(asked.dataset, index, asked.interval, asked.places, columns, rollups=rollups)


class _Asked(NamedTuple):
    """What every counting question says."""

    dataset: Dataset
    interval: Interval
    places: Sought


def estimate(bounds: tuple[int, int] | None) -> pb.Estimate | None:
    """The bounds of a number as clients get them; None: it is exact."""
    return pb.Estimate(at_least=bounds[0], at_most=bounds[1]) if bounds else None


def _locating(dataset: Dataset) -> Index:
    """The index to look for places in: one that carries their location, if there is one."""
    indexes = [requests.index(PLACE, dataset), *dataset.indexes.values()]
    return next((index for index in indexes if dataset.location in index.columns), indexes[0])


def _pages(rows: int, size: int) -> Iterator[slice]:
    return (slice(begin, begin + size) for begin in range(0, rows, size))


def _peak(steps: Steps, counts: Numbers) -> pb.Peak:
    best = int(counts.argmax())  # of several, the first
    at = Timestamp()
    at.FromMilliseconds(steps.interval.start + best * steps.width)
    return pb.Peak(at=at, distinct_devices=int(counts[best]))
