"""CompactionService: background compaction, run on demand."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from privacyplease.proxy.compaction.compaction import Compaction, Scope
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.v1 import compaction_service_pb2 as pb
from privacyplease.proxy.v1 import compaction_service_pb2_grpc as pb_grpc


class CompactionService(pb_grpc.CompactionServiceServicer):
    """Compacts during the call, and reports each step."""

    def __init__(self, datasets: dict[str, Dataset], compaction: Compaction) -> None:
        self._datasets = datasets
        self._compaction = compaction

    @streaming
    def Compact(  # noqa: N802
        self, request: pb.CompactRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.CompactResponse]:
        """Compacts until nothing is left to do; each step is one message."""
        names = [requests.dataset(request.dataset, self._datasets).name] if request.dataset else sorted(self._datasets)
        interval = requests.interval(request.interval) if request.HasField("interval") else EVER
        scope = Scope(by_command=True, recent=request.include_open, interval=interval)
        for dataset in (self._datasets[name] for name in names):
            for step in self._compaction.compact(dataset, scope):
                yield pb.CompactResponse(
                    dataset=dataset.name, merged_cells=step.merged_cells, written_cells=step.written_cells
                )
            if removed := self._compaction.collect(dataset):
                yield pb.CompactResponse(dataset=dataset.name, removed_cells=removed)
