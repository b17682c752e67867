"""ExplainService: what the storage server sees of a question."""

from __future__ import annotations

from functools import partial

import grpc
import pyarrow as pa

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.records.dataset import PLACE, SUBJECT, Dataset
from privacyplease.proxy.records.tables import having, longest
from privacyplease.proxy.rollups import Count, count_devices
from privacyplease.proxy.search import Search
from privacyplease.proxy.services.occupancy import estimate
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
        answer, bounds = (self._sessions if request.device else self._count)(request, dataset, witness)
        records, rollups = witness.records, witness.rollups
        return pb.ExplainResponse(
            index=index.name,
            tags=records.tags + rollups.tags,
            first_tags=witness.first_tags,
            cells=records.cells + rollups.cells,
            bytes=witness.bytes,
            first_cells=[_shown(seen) for seen in witness.first_cells],
            records_opened=records.opened,
            records_kept=records.kept,
            answer=answer,
            estimate=estimate(bounds),
            rollup_tags=rollups.tags,
            rollup_cells=rollups.cells,
            sketches_opened=rollups.opened,
            sketches_kept=rollups.kept,
        )

    def _sessions(self, request: pb.ExplainRequest, dataset: Dataset, witness: Witness) -> Count:
        device = requests.key(request.device, dataset.subject, dataset, "device")
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        index, when = requests.index(SUBJECT, dataset), requests.interval(request.interval)
        columns = dataset.required
        found = self._search.find(dataset, index, when, device, columns, witness)
        empty = pa.schema([dataset.schema.field(name) for name in columns]).empty_table()
        sessions = pa.concat_tables([empty, *(page.select(empty.column_names) for page in found)])
        return Count(len(longest(having(sessions, dataset.place, place), dataset)))

    def _count(self, request: pb.ExplainRequest, dataset: Dataset, witness: Witness) -> Count:
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        index, when = requests.index(PLACE, dataset), requests.interval(request.interval)
        find = partial(self._search.find, dataset, index, when, place, [dataset.subject], witness)
        return count_devices(find, dataset)


def _shown(seen: Seen) -> pb.ExplainedCell:
    return pb.ExplainedCell(
        tag=seen.cell.tag,
        cell_id=seen.cell.cell_id,
        head=seen.cell.sealed[:HEAD_BYTES],
        size=len(seen.cell.sealed),
        records_opened=seen.opened,
        records_kept=seen.kept,
        rollup=seen.rollup,
    )
