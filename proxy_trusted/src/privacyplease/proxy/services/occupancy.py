"""OccupancyService: how many people, by time and place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering, streaming
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.query import counting, occupancy
from privacyplease.proxy.query.dwell import dwell
from privacyplease.proxy.query.occupancy import Numbers
from privacyplease.proxy.query.places import places_of
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Answer
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EARLIEST, Interval, Steps
from privacyplease.proxy.v1 import occupancy_service_pb2 as pb
from privacyplease.proxy.v1 import occupancy_service_pb2_grpc as pb_grpc

STEPS_PER_PAGE = 8_192
PLACES_PER_PAGE = 8_192


class Searcher(Protocol):
    """Answers questions: `Search`, or `ExportedSearch` on an exported keyring."""

    def ask(self, question: Question) -> AbstractContextManager[Answer]:
        """See `Search.ask`."""


class OccupancyService(pb_grpc.OccupancyServiceServicer):
    """Answers from the cores of the interval, or from roll-ups where these suffice."""

    def __init__(self, datasets: dict[str, Dataset], search: Searcher, keyring: Keyring | None) -> None:
        """Initialises the service.

        Args:
            datasets: The data sets by name.
            search: Answers questions.
            keyring: Holds the key of the hashes in roll-ups; None if the search uses no roll-ups.
        """
        self._datasets = datasets
        self._search = search
        self._keyring = keyring

    @answering
    def Count(self, request: pb.CountRequest, _context: grpc.ServicerContext) -> pb.CountResponse:  # noqa: N802
        """Counts the distinct devices in the interval."""
        question = self._question(request, rollups=not request.exact)
        with self._search.ask(question) as answer:
            devices, bounds = counting.count(question, answer, self._keyring)
        return pb.CountResponse(distinct_devices=devices, estimate=estimate(bounds))

    @streaming
    def CountByPlace(  # noqa: N802
        self, request: pb.CountByPlaceRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.CountByPlaceResponse]:
        """Streams the number of distinct devices at each place or group of places, largest first."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        interval, groups = requests.interval(request.interval), requests.groups(request.groups)
        with self._search.ask(Question(dataset, interval)) as answer:
            places, counts = occupancy.count_by_place(answer.hits, groups)
        for page in _pages(len(places), PLACES_PER_PAGE):
            yield pb.CountByPlaceResponse(places=places[page], distinct_devices=counts[page])

    @streaming
    def Series(  # noqa: N802
        self, request: pb.SeriesRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.SeriesResponse]:
        """Streams the number of distinct devices in each step, and the peak."""
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
        """Finds the step with the most distinct devices."""
        return pb.PeakResponse(peak=_peak(*self._series(request)))

    @streaming
    def ListPlaces(  # noqa: N802
        self, request: pb.ListPlacesRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListPlacesResponse]:
        """Streams the places that had a session, with their locations."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        columns = (dataset.location,) if dataset.location else ()
        with self._search.ask(Question(dataset, requests.interval(request.interval), columns=columns)) as answer:
            places, locations = places_of(answer.hits, dataset)
        for page in _pages(len(places), PLACES_PER_PAGE):
            yield pb.ListPlacesResponse(places=places[page], locations=locations[page])

    @answering
    def Dwell(self, request: pb.DwellRequest, _context: grpc.ServicerContext) -> pb.DwellResponse:  # noqa: N802
        """Classifies sessions by length, and tells returning devices from new ones."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        interval, bounds = requests.interval(request.interval), requests.bounds(request.bounds)
        since = max(EARLIEST, interval.start - requests.millis(request.look_back, "look_back"))
        places = requests.places(request.places, dataset)
        with self._search.ask(Question(dataset, Interval(since, interval.end), places=places)) as answer:
            result = dwell(answer.hits, dataset, interval, bounds)
        response = pb.DwellResponse(
            sessions=result.sessions, returning_devices=result.returning_devices, new_devices=result.new_devices
        )
        if result.median is not None:
            response.median.FromMilliseconds(result.median)
        return response

    def _series(self, request: pb.SeriesRequest | pb.PeakRequest) -> tuple[Steps, Numbers]:
        question = self._question(request)
        steps = requests.steps(question.interval, request.step)
        with self._search.ask(question) as answer:
            return steps, occupancy.series(answer.hits, steps)

    def _question(
        self, request: pb.CountRequest | pb.SeriesRequest | pb.PeakRequest, *, rollups: bool = False
    ) -> Question:
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        places = requests.places(request.places, dataset, request.place)
        return Question(dataset, requests.interval(request.interval), places=places, rollups=rollups)


def estimate(bounds: tuple[int, int] | None) -> pb.Estimate | None:
    """The bounds of an estimate as a message; None if the number is exact."""
    return pb.Estimate(at_least=bounds[0], at_most=bounds[1]) if bounds else None


def _pages(rows: int, size: int) -> Iterator[slice]:
    return (slice(begin, begin + size) for begin in range(0, rows, size))


def _peak(steps: Steps, counts: Numbers) -> pb.Peak:
    best = int(counts.argmax())  # of several, the first
    at = Timestamp()
    at.FromMilliseconds(steps.interval.start + best * steps.width)
    return pb.Peak(at=at, distinct_devices=int(counts[best]))
