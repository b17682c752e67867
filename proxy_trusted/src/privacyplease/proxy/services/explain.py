"""ExplainService: what the storage server sees of a question."""

from __future__ import annotations

import grpc
import pyarrow as pa

from privacyplease.proxy import occupancy, requests
from privacyplease.proxy.dataset import PLACE, SUBJECT, Dataset
from privacyplease.proxy.records import having, longest
from privacyplease.proxy.rpc import answering
from privacyplease.proxy.search import Search
from privacyplease.proxy.v1 import explain_service_pb2 as pb
from privacyplease.proxy.v1 import explain_service_pb2_grpc as pb_grpc
from privacyplease.proxy.witness import HEAD_BYTES, Seen, Witness


class ExplainService(pb_grpc.ExplainServiceServicer):
    """Asks as the other services do, and has a witness look on."""

    def __init__(self, datasets: dict[str, Dataset], search: Search) -> None:
        self._datasets = datasets
        self._search = search

    @answering
    def Explain(self, request: pb.ExplainRequest, _context: grpc.ServicerContext) -> pb.ExplainResponse:  # noqa: N802
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        requests.purpose(request.purpose)
        witness, index = Witness(), requests.index(SUBJECT if request.device else PLACE, dataset)
        answer = (self._sessions if request.device else self._count)(request, dataset, witness)
        return pb.ExplainResponse(
            index=index.name,
            tags=witness.tags,
            first_tags=witness.first_tags,
            cells=witness.cells,
            bytes=witness.bytes,
            first_cells=[_shown(seen) for seen in witness.first_cells],
            records_opened=witness.opened,
            records_kept=witness.kept,
            answer=answer,
        )

    def _sessions(self, request: pb.ExplainRequest, dataset: Dataset, witness: Witness) -> int:
        device = requests.key(request.device, dataset.subject, dataset, "device")
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        index, when = requests.index(SUBJECT, dataset), requests.interval(request.interval)
        columns = dataset.required
        found = self._search.find(dataset, index, when, device, columns, witness)
        empty = pa.schema([dataset.schema.field(name) for name in columns]).empty_table()
        sessions = pa.concat_tables([empty, *(page.select(empty.column_names) for page in found)])
        return len(longest(having(sessions, dataset.place, place), dataset))

    def _count(self, request: pb.ExplainRequest, dataset: Dataset, witness: Witness) -> int:
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        index, when = requests.index(PLACE, dataset), requests.interval(request.interval)
        return occupancy.count(self._search.find(dataset, index, when, place, [dataset.subject], witness), dataset)


def _shown(seen: Seen) -> pb.ExplainedCell:
    return pb.ExplainedCell(
        tag=seen.cell.tag,
        cell_id=seen.cell.cell_id,
        head=seen.cell.sealed[:HEAD_BYTES],
        size=len(seen.cell.sealed),
        records_opened=seen.opened,
        records_kept=seen.kept,
    )
