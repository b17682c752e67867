"""The messages of Verify, read one by one as they arrive."""

from __future__ import annotations

from collections.abc import Callable

from privacyplease.client._internal.contract import reads_answers
from privacyplease.client._internal.times import instant
from privacyplease.client.errors import FaultError
from privacyplease.client.verification import Finding, Verification, VerificationProgress
from privacyplease.proxy.v1.verification_service_pb2 import VerificationFinding, VerificationSummary, VerifyResponse


class VerificationReader:
    """Collects findings, and reports progress.

    Args:
        on_progress: Called with each progress message.
    """

    def __init__(self, on_progress: Callable[[VerificationProgress], object] | None) -> None:
        self._on_progress = on_progress
        self._findings: list[Finding] = []
        self._summary: VerificationSummary | None = None

    @reads_answers
    def read(self, response: VerifyResponse) -> None:
        """Reads the next message."""
        if response.HasField("finding"):
            self._findings.append(_finding(response.finding))
        elif response.HasField("summary"):
            self._summary = response.summary
        elif response.HasField("progress") and self._on_progress:
            done = response.progress
            self._on_progress(VerificationProgress(done.tags, done.tags_total, done.cells, len(self._findings)))

    def result(self) -> Verification:
        """The result, once every message was read.

        Raises:
            FaultError: The stream ended without a summary, so the verification is not complete.
        """
        if self._summary is None:
            raise FaultError("expected a summary at the end of the verification, got none")
        return Verification(self._summary.tags, self._summary.cells, tuple(self._findings))


def _finding(message: VerificationFinding) -> Finding:
    return Finding(
        dataset=message.dataset,
        group=message.group,
        first_start=instant(message.first_start),
        last_start=instant(message.last_start),
        missing=message.missing,
        unexpected=message.unexpected,
        damaged=message.damaged,
    )
