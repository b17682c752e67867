"""What an ingest has sent but not yet seen acknowledged: pure state, without a socket, a thread or a clock."""

from collections import deque

from privacyplease.client._internal.ingest.chunking import Chunk
from privacyplease.client.errors import FaultError
from privacyplease.client.ingestion import Ack, Rejection
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest, IngestResponse

# Enough chunks to keep the proxy busy while the next one is read; at most 64 MiB are held to be sent again.
LIMIT = 4


class Window:
    """The chunks of one ingest that are not acknowledged, oldest first.

    After a stream breaks, `begin` makes the next one send all of them again. Some may already be stored: ingest is
    idempotent, so sending twice changes no answer. Streams are numbered, so that a broken one that still asks for
    requests gets none.
    """

    def __init__(self, dataset: str, limit: int = LIMIT) -> None:
        self._dataset = dataset
        self._limit = limit
        self._chunks: deque[Chunk] = deque()
        self._acknowledged = 0
        self._sent = 0
        self._ended = False
        self._stream = 0

    @property
    def full(self) -> bool:
        """Whether the next chunk must wait for an acknowledgement."""
        return len(self._chunks) >= self._limit

    @property
    def outstanding(self) -> bool:
        """Whether the proxy owes an acknowledgement."""
        return self._sent > 0

    @property
    def drained(self) -> bool:
        """Whether all is acknowledged."""
        return self._ended and not self._chunks

    def add(self, chunk: Chunk) -> None:
        """Adds a chunk to be sent."""
        self._chunks.append(chunk)

    def end(self) -> None:
        """Marks the end of the source: no chunk follows."""
        self._ended = True

    def begin(self) -> int:
        """Starts a new stream and returns its number."""
        self._stream += 1
        self._sent = 0
        return self._stream

    def must_wait(self, stream: int) -> bool:
        """Whether `next_request` has nothing for this stream yet."""
        return stream == self._stream and not self._ended and self._sent == len(self._chunks)

    def next_request(self, stream: int) -> IngestRequest | None:
        """The oldest chunk that this stream has not sent, or None if there is none left."""
        if stream != self._stream or self._sent == len(self._chunks):
            return None
        request = self._chunks[self._sent].request(self._dataset, self._acknowledged + self._sent)
        self._sent += 1
        return request

    def acknowledge(self, response: IngestResponse) -> Ack:
        """Releases the oldest chunk.

        Raises:
            FaultError: The response is about another chunk. Acknowledgements arrive in order.
        """
        if not self.outstanding or response.sequence != self._acknowledged:
            raise FaultError(
                f"expected an acknowledgement of chunk {self._acknowledged}, got one of {response.sequence}"
            )
        chunk = self._chunks.popleft()
        self._acknowledged += 1
        self._sent -= 1
        return _ack(chunk, response)


def _ack(chunk: Chunk, response: IngestResponse) -> Ack:
    return Ack(
        batch=chunk.batch,
        rows=chunk.rows,
        accepted=response.accepted,
        rejections=tuple(Rejection(chunk.first_row + r.row, r.field, r.reason) for r in response.rejections),
        complete=chunk.complete,
    )
