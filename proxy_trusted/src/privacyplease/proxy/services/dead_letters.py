"""DeadLetterService: seals messages that could not be ingested, and opens them again."""

from __future__ import annotations

import time
from collections.abc import Sequence

import grpc

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.keys.dead_letters import DeadLetters
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.v1 import dead_letter_service_pb2 as pb
from privacyplease.proxy.v1 import dead_letter_service_pb2_grpc as pb_grpc

MOST_MESSAGES = 10_000
MOST_PAYLOAD_BYTES = 16 * 1024 * 1024
MOST_LETTER_BYTES = 24 * 1024 * 1024


class DeadLetterService(pb_grpc.DeadLetterServiceServicer):
    """Seals and opens dead letters; keeps none."""

    def __init__(self, datasets: dict[str, Dataset], letters: DeadLetters) -> None:
        self._datasets = datasets
        self._letters = letters

    @answering
    def Seal(self, request: pb.SealRequest, _context: grpc.ServicerContext) -> pb.SealResponse:  # noqa: N802
        """Seals each payload under the key of the data set's letters for the current epoch."""
        dataset = requests.dataset(request.dataset, self._datasets)
        payloads = _bounded(request.payloads, "payloads", MOST_PAYLOAD_BYTES)
        today = int(time.time() * 1_000) // dataset.epoch
        return pb.SealResponse(letters=self._letters.seal(payloads, dataset.name, today))

    @answering
    def Open(self, request: pb.OpenRequest, _context: grpc.ServicerContext) -> pb.OpenResponse:  # noqa: N802
        """Opens each letter, and lists the positions of those that do not open."""
        dataset = requests.dataset(request.dataset, self._datasets)
        letters = _bounded(request.letters, "letters", MOST_LETTER_BYTES)
        opened = [self._letters.open(letter, dataset.name) for letter in letters]
        unopened = [position for position, payload in enumerate(opened) if payload is None]
        return pb.OpenResponse(payloads=[payload or b"" for payload in opened], unopened=unopened)


def _bounded(messages: Sequence[bytes], field: str, most_bytes: int) -> list[bytes]:
    if not 1 <= len(messages) <= MOST_MESSAGES:
        raise InvalidRequestError(f"expected 1 to {MOST_MESSAGES:,} {field}, got {len(messages):,}", field=field)
    if (size := sum(map(len, messages))) > most_bytes:
        raise InvalidRequestError(f"expected at most {most_bytes:,} bytes, got {size:,}", field=field)
    return list(messages)
