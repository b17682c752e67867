"""PresenceService: where one device was, and when."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pyarrow as pa

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.query import presence
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.records.columns import show_one
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.v1 import presence_service_pb2 as pb
from privacyplease.proxy.v1 import presence_service_pb2_grpc as pb_grpc

SESSIONS_PER_PAGE = 8_192


class PresenceService(pb_grpc.PresenceServiceServicer):
    """Answers from the cores of the interval; opens only those that can hold the device."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @streaming
    def FindSessions(  # noqa: N802
        self, request: pb.FindSessionsRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.FindSessionsResponse]:
        """Streams the device's sessions in the interval; at least one page, which says whether there are any."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        interval = requests.interval(request.interval)
        device = requests.key(request.device, dataset.subject, dataset, "device")
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        with self._search.ask(Question(dataset, interval, device, place)) as answer:
            sessions = presence.records(answer.hits, dataset)
        yield from _pages(str(show_one(device, dataset.columns[dataset.subject])), sessions, dataset)


def _pages(device: str, sessions: pa.Table, dataset: Dataset) -> Iterator[pb.FindSessionsResponse]:
    for begin in range(0, max(len(sessions), 1), SESSIONS_PER_PAGE):
        part = sessions.slice(begin, SESSIONS_PER_PAGE)
        starts, ends = spans(part, dataset)
        yield pb.FindSessionsResponse(
            device=device,
            present=len(sessions) > 0,
            sessions=pb.Sessions(
                places=part[dataset.place].to_pylist(), starts_unix_ms=starts.tolist(), ends_unix_ms=ends.tolist()
            ),
        )
