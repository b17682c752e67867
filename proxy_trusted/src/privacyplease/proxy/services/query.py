"""QueryService: whole records of any data set."""

from __future__ import annotations

import io
from collections.abc import Iterator

import grpc
import pyarrow as pa

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering, streaming
from privacyplease.proxy.errors import UnknownColumnError
from privacyplease.proxy.query import presence
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.records.dataset import MOST_NAME_CHARACTERS, Dataset
from privacyplease.proxy.records.tables import shown
from privacyplease.proxy.v1 import query_service_pb2 as pb
from privacyplease.proxy.v1 import query_service_pb2_grpc as pb_grpc

RECORDS_PER_BATCH = 8_192
PAGE_BYTES = 1024 * 1024


class QueryService(pb_grpc.QueryServiceServicer):
    """Answers from every column of the segments in the interval."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @answering
    def ListDatasets(  # noqa: N802
        self, _request: pb.ListDatasetsRequest, _context: grpc.ServicerContext
    ) -> pb.ListDatasetsResponse:
        """Lists the data sets and their columns."""
        return pb.ListDatasetsResponse(datasets=[_describe(self._datasets[name]) for name in sorted(self._datasets)])

    @streaming
    def Query(self, request: pb.QueryRequest, _context: grpc.ServicerContext) -> Iterator[pb.QueryResponse]:  # noqa: N802
        """Streams the records of the interval as one Arrow IPC stream, cut into pages."""
        dataset = requests.dataset(request.dataset, self._datasets)
        interval, columns = requests.interval(request.interval), _columns(request, dataset)
        subject = requests.optional_key(request.subject, dataset.subject, dataset, "subject")
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        # All columns are read, because every one of them decides which form of a record is kept.
        question = Question(dataset, interval, subject, place, tuple(dataset.others))
        with self._search.ask(question) as answer:
            records = presence.records(answer.hits, dataset, question.columns)
        yield from _pages(shown(records.select(columns), dataset))


def _columns(request: pb.QueryRequest, dataset: Dataset) -> list[str]:
    columns = list(request.columns) or list(dataset.columns)
    if unknown := next((name for name in columns if name not in dataset.columns), None):
        expected, got = ", ".join(dataset.columns), unknown[:MOST_NAME_CHARACTERS]
        raise UnknownColumnError(f"data set {dataset.name!r}: expected one of {expected}; got {got!r}", field="columns")
    if len(set(columns)) < len(columns):
        raise UnknownColumnError("expected each column once", field="columns")
    return columns


def _pages(records: pa.Table) -> Iterator[pb.QueryResponse]:
    """The records as one Arrow IPC stream, cut into pages; the first page has the number of records."""
    for number, page in enumerate(_stream(records)):
        yield pb.QueryResponse(arrow=page, records=0 if number else records.num_rows)


def _stream(records: pa.Table) -> Iterator[bytes]:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, records.schema) as writer:
        for batch in records.to_batches(RECORDS_PER_BATCH):
            writer.write_batch(batch)
            if sink.tell() >= PAGE_BYTES:
                yield from _cut(sink)
    yield from _cut(sink)


def _cut(sink: io.BytesIO) -> Iterator[bytes]:
    """What has been written so far, in pages; empties the sink."""
    written = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    for begin in range(0, len(written), PAGE_BYTES):
        yield written[begin : begin + PAGE_BYTES]


def _describe(dataset: Dataset) -> pb.Dataset:
    columns = [pb.Column(name=name, type=kind.value) for name, kind in dataset.columns.items()]
    return pb.Dataset(
        name=dataset.name,
        title=dataset.title,
        columns=columns,
        subject=dataset.subject,
        place=dataset.place,
        start=dataset.start,
        duration=dataset.duration,
    )
