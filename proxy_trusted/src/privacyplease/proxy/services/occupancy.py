"""OccupancyService: how many people, by time and place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy import occupancy, requests
from privacyplease.proxy.dataset import PLACE, Dataset
from privacyplease.proxy.occupancy import Numbers, Steps
from privacyplease.proxy.rpc import answering, streaming
from privacyplease.proxy.search import Search
from privacyplease.proxy.timeline import Interval
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
        return pb.CountResponse(
            distinct_devices=occupancy.count(self._find(asked, asked.dataset.subject), asked.dataset)
        )

    @streaming
    def CountByPlace(  # noqa: N802
        self, request: pb.CountByPlaceRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.CountByPlaceResponse]:
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        asked = _Asked(dataset, requests.interval(request.interval), None)
        places, counts = occupancy.count_by_place(self._find(asked, dataset.subject, dataset.place), dataset)
        for begin in range(0, len(places), PLACES_PER_PAGE):
            page = slice(begin, begin + PLACES_PER_PAGE)
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

    def _series(self, request: pb.SeriesRequest | pb.PeakRequest) -> tuple[Steps, Numbers]:
        asked = self._asked(request)
        steps = requests.steps(asked.interval, request.step)
        return steps, occupancy.series(self._find(asked, asked.dataset.subject), asked.dataset, steps)

    def _asked(self, request: pb.CountRequest | pb.SeriesRequest | pb.PeakRequest) -> _Asked:
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        return _Asked(dataset, requests.interval(request.interval), place)

    def _find(self, asked: _Asked, *columns: str) -> Iterator[pa.Table]:
        return self._search.find(
            asked.dataset, requests.index(PLACE, asked.dataset), asked.interval, asked.place, columns
        )


class _Asked(NamedTuple):
    """What every counting question says."""

    dataset: Dataset
    interval: Interval
    place: pa.Scalar | None


def _peak(steps: Steps, counts: Numbers) -> pb.Peak:
    best = int(counts.argmax())  # of several, the first
    at = Timestamp()
    at.FromMilliseconds(steps.interval.start + best * steps.width)
    return pb.Peak(at=at, distinct_devices=int(counts[best]))
