"""OccupancyService: how many people, by time and place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pyarrow as pa
from datasketches import compact_theta_sketch
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy import occupancy, requests
from privacyplease.proxy.dataset import PLACE, Dataset, Index
from privacyplease.proxy.dwell import dwell
from privacyplease.proxy.occupancy import Numbers, Steps
from privacyplease.proxy.places import places_of
from privacyplease.proxy.records import Sought
from privacyplease.proxy.rollups import DEVIATIONS, MOST_EXACT_BYTES, Rollups
from privacyplease.proxy.rpc import answering, streaming
from privacyplease.proxy.search import Search
from privacyplease.proxy.timeline import EARLIEST, Interval
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
        asked, rollups = self._asked(request), Rollups()
        subjects = occupancy.subjects(self._find(asked, asked.dataset.subject, rollups=rollups), asked.dataset)
        if not rollups.tables:
            return pb.CountResponse(distinct_devices=0 if subjects is None else len(subjects))
        people = rollups.people(subjects, asked.dataset)
        if people.is_estimation_mode() and (request.exact or rollups.spared <= MOST_EXACT_BYTES):
            devices = occupancy.count(self._find(asked, asked.dataset.subject), asked.dataset)
            return pb.CountResponse(distinct_devices=devices)
        return pb.CountResponse(distinct_devices=round(people.get_estimate()), estimate=_estimate(people))

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


def _estimate(people: compact_theta_sketch) -> pb.Estimate | None:
    """Within what bounds the true number is; None: it is exact."""
    if not people.is_estimation_mode():
        return None
    at_least, at_most = (round(bound(DEVIATIONS)) for bound in (people.get_lower_bound, people.get_upper_bound))
    return pb.Estimate(at_least=at_least, at_most=at_most)


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
