"""PresenceService: where one device was, and when."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pyarrow as pa

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.records.columns import show_one
from privacyplease.proxy.records.dataset import SUBJECT, Dataset
from privacyplease.proxy.records.tables import having, longest, spans
from privacyplease.proxy.search import Search
from privacyplease.proxy.v1 import presence_service_pb2 as pb
from privacyplease.proxy.v1 import presence_service_pb2_grpc as pb_grpc

SESSIONS_PER_PAGE = 8_192


class PresenceService(pb_grpc.PresenceServiceServicer):
    """Answers from the subject index."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @streaming
    def FindSessions(  # noqa: N802
        self, request: pb.FindSessionsRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.FindSessionsResponse]:
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        interval = requests.interval(request.interval)
        device = requests.key(request.device, dataset.subject, dataset, "device")
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        pages = self._search.find(dataset, requests.index(SUBJECT, dataset), interval, device, dataset.required)
        found = [having(page, dataset.place, place) for page in pages]
        sessions = longest(pa.concat_tables(found), dataset) if found else None
        name = str(show_one(device, dataset.columns[dataset.subject]))
        yield from _pages(name, sessions, dataset)


def _pages(device: str, sessions: pa.Table | None, dataset: Dataset) -> Iterator[pb.FindSessionsResponse]:
    rows = 0 if sessions is None else len(sessions)
    for begin in range(0, max(rows, 1), SESSIONS_PER_PAGE):
        page = pb.FindSessionsResponse(device=device, present=rows > 0, sessions=pb.Sessions())
        if sessions is not None:
            part = sessions.slice(begin, SESSIONS_PER_PAGE)
            starts, ends = spans(part, dataset)
            page.sessions.places.extend(part[dataset.place].to_pylist())
            page.sessions.starts_unix_ms.extend(starts.tolist())
            page.sessions.ends_unix_ms.extend(ends.tolist())
        yield page
