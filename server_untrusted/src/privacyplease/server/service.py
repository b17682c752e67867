"""The contract's service over a store: check the request, do it, answer."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from privacyplease.server import pages, requests
from privacyplease.server.cells import Cell
from privacyplease.server.limits import Limits
from privacyplease.server.status import answering
from privacyplease.server.store import Store
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc
from privacyplease.transport import deadline


class StorageService(rpc.StorageServiceServicer):
    """Implements `storage_service.proto`, which states what each call promises."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    def Append(self, request: pb.AppendRequest, context: grpc.ServicerContext) -> pb.AppendResponse:  # noqa: N802
        """Stores cells."""
        with answering(context):
            cells = requests.cells_to_append(request, self._limits)
            self._store.append(cells)
            return pb.AppendResponse(cells=len(cells))

    def Select(self, request: pb.SelectRequest, context: grpc.ServicerContext) -> Iterator[pb.SelectResponse]:  # noqa: N802
        """Streams pages of cells."""
        with answering(context):
            tags = requests.tags_of(request.predicate, self._limits)
            wanted = requests.tags_after(request.cursor, tags)
            for page in pages.pages(self._store.select(wanted), pages.clamped(request.page_bytes)):
                deadline.require()
                yield _message(page)

    def Measure(self, request: pb.MeasureRequest, context: grpc.ServicerContext) -> pb.MeasureResponse:  # noqa: N802
        """Counts what a selection would stream."""
        with answering(context):
            size = self._store.measure(requests.tags_of(request.predicate, self._limits))
            return pb.MeasureResponse(cells=size.cells, bytes=size.bytes)

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> pb.DeleteResponse:  # noqa: N802
        """Removes every cell that a predicate matches."""
        with answering(context):
            return pb.DeleteResponse(cells=self._store.delete(requests.tags_of(request.predicate, self._limits)))

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802
        """Returns limits and size."""
        with answering(context):
            described = self._store.describe()
            return pb.DescribeResponse(
                schema_version=described.schema_version,
                store=described.database,
                cells=described.size.cells,
                bytes=described.size.bytes,
                limits=self._limits.message(),
            )


def _message(page: list[Cell]) -> pb.SelectResponse:
    message = pb.SelectResponse(cursor=pages.cursor_after(page[-1]))
    for cell in page:
        # Built in place: passing a `pb.Cell` would copy it once more, with all of its bytes.
        message.cells.add(tag=cell.tag, sealed=cell.sealed)
    return message
