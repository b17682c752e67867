"""ExplainService: what the storage server sees of a question."""

from __future__ import annotations

import grpc

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.query import counting, presence
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Answer, Search
from privacyplease.proxy.query.trace import HEAD_BYTES, Seen, Trace
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.rollups import Count
from privacyplease.proxy.services.occupancy import estimate
from privacyplease.proxy.v1 import explain_service_pb2 as pb
from privacyplease.proxy.v1 import explain_service_pb2_grpc as pb_grpc


class ExplainService(pb_grpc.ExplainServiceServicer):
    """Answers a question as the other services do, and traces what the storage server saw of it."""

    def __init__(self, datasets: dict[str, Dataset], search: Search, keyring: Keyring) -> None:
        self._datasets = datasets
        self._search = search
        self._keyring = keyring

    @answering
    def Explain(self, request: pb.ExplainRequest, _context: grpc.ServicerContext) -> pb.ExplainResponse:  # noqa: N802
        """Answers the question, and reports the tags that were sent and the cells that came back."""
        requests.purpose(request.purpose)
        question, trace = self._question(request), Trace()
        with self._search.ask(question, trace) as answer:
            count, distinct = self._answer(question, answer, trace)
        tags = sum(trace.cells.values())
        return pb.ExplainResponse(
            tags=tags,
            first_tags=sorted(seen.cell.tag for seen in trace.first),
            cells=tags,
            bytes=trace.bytes,
            first_cells=[_shown(seen) for seen in trace.first],
            records_opened=trace.opened,
            records_kept=trace.kept,
            records_distinct=distinct,
            answer=count.devices,
            estimate=estimate(count.bounds),
            rollup_tags=trace.cells[Group.ROLLUP],
            rollup_cells=trace.cells[Group.ROLLUP],
            sketches_opened=trace.sketches_opened,
            sketches_kept=trace.sketches_kept,
        )

    def _question(self, request: pb.ExplainRequest) -> Question:
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        device = requests.optional_key(request.device, dataset.subject, dataset, "device")
        place = requests.optional_key(request.place, dataset.place, dataset, "place")
        return Question(dataset, requests.interval(request.interval), device, place, rollups=device is None)

    def _answer(self, question: Question, answer: Answer, trace: Trace) -> tuple[Count, int]:
        """The answer (distinct devices, or sessions of the device), and the number of distinct records behind it."""
        hits = list(answer.hits)
        distinct = len(presence.records(hits, question.dataset))
        trace.kept_sketches(answer.rollups, question.place_names)
        if question.subjects is not None:
            return Count(distinct), distinct
        return counting.count(question, answer._replace(hits=iter(hits)), self._keyring), distinct


def _shown(seen: Seen) -> pb.ExplainedCell:
    return pb.ExplainedCell(
        tag=seen.cell.tag,
        head=seen.cell.sealed[:HEAD_BYTES],
        size=len(seen.cell.sealed),
        records_opened=seen.opened,
        records_kept=seen.kept,
        rollup=seen.group is Group.ROLLUP,
    )
