# Generated from _internal/aio/explanation.py by scripts/blocking_client.py; do not edit.
"""What the storage server sees of a question."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client.explanation import Explanation

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.explain_service_pb2_grpc import ExplainServiceStub


class ExplanationMethods:
    """What the storage server sees."""

    _connection: Connection

    def explain(
        self,
        start: datetime,
        end: datetime,
        *,
        place: str | None = None,
        device: str | None = None,
        dataset: str = "wifi",
        purpose: str = "",
    ) -> Explanation:
        """What the storage server sees of a question: that of `count`, or that of `presence` if a device is given.

        Which cells are requested follows from the interval only, whatever device or place the question is about.

        >>> seen = client.explain(*day, place="ap-01-5")
        >>> print(seen.records_distinct, seen.answer)
        2515 288

        Args:
            start: The first instant.
            end: The last instant.
            place: Only at this place.
            device: The device whose sessions to find; devices are counted if None.
            dataset: The data set to ask.
            purpose: As for `presence`, if a device is given.
        """
        request = requests.explain(dataset, start, end, place, device, purpose)
        return answers.explanation(self._connection.answer(self._explanations.Explain, request))

    @property
    def _explanations(self) -> ExplainServiceStub:
        from privacyplease.proxy.v1.explain_service_pb2_grpc import ExplainServiceStub

        return self._connection.stub(ExplainServiceStub)
