"""The messages of Verify, taken one by one as they come."""

from __future__ import annotations

from collections.abc import Callable

from privacyplease.client._internal.times import instant
from privacyplease.client.errors import FaultError
from privacyplease.client.verification import Finding, Verification, VerificationProgress
from privacyplease.proxy.v1.verification_service_pb2 import VerificationFinding, VerificationSummary, VerifyResponse

Told = Callable[[VerificationProgress], object]


class Verifying:
    """Collects findings and tells of progress."""

    def __init__(self, told: Told | None) -> None:
        self._told = told
        self._findings: list[Finding] = []
        self._summary: VerificationSummary | None = None

    def take(self, event: VerifyResponse) -> None:
        """Takes the next message."""
        if event.HasField("finding"):
            self._findings.append(_finding(event.finding))
        elif event.HasField("summary"):
            self._summary = event.summary
        elif event.HasField("progress") and self._told:
            done = event.progress
            self._told(VerificationProgress(done.tags, done.tags_total, done.cells, len(self._findings)))

    def result(self) -> Verification:
        """What came of it.

        Raises:
            FaultError: The proxy ended without saying so.
        """
        if self._summary is None:
            raise FaultError("expected a summary at the end, got none")
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
