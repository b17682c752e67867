"""What an ingest has sent and not seen acknowledged. No socket, no thread, no clock: those stand around it."""

from collections import deque

from privacyplease.client._internal.parts import Part
from privacyplease.client.errors import FaultError
from privacyplease.client.ingestion import Ack, Rejection
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest, IngestResponse

# As many parts as keep the proxy busy while the next is read; at most 64 MiB are held to be sent again.
LIMIT = 4


class Window:
    """The parts of one ingest that are not acknowledged, oldest first.

    After a stream broke, `begin` makes the next one send all of them again. Some may be stored already: ingest is
    idempotent, so sending twice changes no answer. Streams have numbers, so that a broken one that still pulls requests
    gets none.
    """

    def __init__(self, dataset: str, limit: int = LIMIT) -> None:
        self._dataset = dataset
        self._limit = limit
        self._parts: deque[Part] = deque()
        self._acknowledged = 0
        self._sent = 0
        self._ended = False
        self._stream = 0

    @property
    def full(self) -> bool:
        """Whether the next part must wait for an acknowledgement."""
        return len(self._parts) >= self._limit

    @property
    def outstanding(self) -> bool:
        """Whether the proxy owes an acknowledgement."""
        return self._sent > 0

    @property
    def drained(self) -> bool:
        """Whether all is acknowledged."""
        return self._ended and not self._parts

    def admit(self, part: Part) -> None:
        """Takes a part in, to be sent."""
        self._parts.append(part)

    def end(self) -> None:
        """No part will follow."""
        self._ended = True

    def begin(self) -> int:
        """A new stream begins: its number."""
        self._stream += 1
        self._sent = 0
        return self._stream

    def must_wait(self, stream: int) -> bool:
        """Whether `next_request` has nothing for this stream yet."""
        return stream == self._stream and not self._ended and self._sent == len(self._parts)

    def next_request(self, stream: int) -> IngestRequest | None:
        """The oldest part that this stream did not send, or None if it is done."""
        if stream != self._stream or self._sent == len(self._parts):
            return None
        request = self._parts[self._sent].request(self._dataset, self._acknowledged + self._sent)
        self._sent += 1
        return request

    def acknowledge(self, response: IngestResponse) -> Ack:
        """Lets go of the oldest part.

        Raises:
            FaultError: The response is about another part. Acknowledgements come in order.
        """
        if not self.outstanding or response.sequence != self._acknowledged:
            raise FaultError(
                f"expected an acknowledgement of part {self._acknowledged}, got one of {response.sequence}"
            )
        part = self._parts.popleft()
        self._acknowledged += 1
        self._sent -= 1
        return _ack(part, response)


def _ack(part: Part, response: IngestResponse) -> Ack:
    return Ack(
        batch=part.batch,
        rows=part.rows,
        accepted=response.accepted,
        rejections=tuple(Rejection(part.first_row + r.row, r.field, r.reason) for r in response.rejections),
        complete=part.complete,
    )
