"""VerificationService: verifies the whole store against the manifest."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.edge.timestamps import timestamp
from privacyplease.proxy.lifecycle.verification import CellChunk, Finding, Verifier
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.v1 import verification_service_pb2 as pb
from privacyplease.proxy.v1 import verification_service_pb2_grpc as pb_grpc


class VerificationService(pb_grpc.VerificationServiceServicer):
    """Reports cells that are missing, unexpected or damaged."""

    def __init__(self, datasets: dict[str, Dataset], verification: Verifier) -> None:
        self._datasets = datasets
        self._verification = verification

    @streaming
    def Verify(self, request: pb.VerifyRequest, _context: grpc.ServicerContext) -> Iterator[pb.VerifyResponse]:  # noqa: N802
        """Streams findings and progress, and finally a summary; a stream without one is incomplete."""
        parts = self._parts(request)
        total = sum(part.tags for part in parts)
        done = pb.VerificationSummary()
        for part in parts:
            checked = self._verification.check(part)
            for finding in checked.findings:
                _add(done, finding)
                yield pb.VerifyResponse(finding=_message(finding))
            done.tags += part.tags
            done.cells += checked.cells
            progress = pb.VerificationProgress(tags=done.tags, tags_total=total, cells=done.cells)
            yield pb.VerifyResponse(progress=progress)
        yield pb.VerifyResponse(summary=done)

    def _parts(self, request: pb.VerifyRequest) -> list[CellChunk]:
        known = self._datasets
        chosen = (
            [requests.dataset(request.dataset, known)] if request.dataset else [known[name] for name in sorted(known)]
        )
        interval = requests.interval(request.interval) if request.HasField("interval") else EVER
        return [part for dataset in chosen for part in self._verification.chunks(dataset, interval)]


def _add(done: pb.VerificationSummary, finding: Finding) -> None:
    done.missing += finding.missing
    done.unexpected += finding.unexpected
    done.damaged += finding.damaged


def _message(finding: Finding) -> pb.VerificationFinding:
    return pb.VerificationFinding(
        dataset=finding.dataset,
        group=finding.group.label if finding.group else "",
        first_start=timestamp(finding.starts.start),
        last_start=timestamp(finding.starts.end),
        missing=finding.missing,
        unexpected=finding.unexpected,
        damaged=finding.damaged,
    )
