"""Cuts dead letters and their payloads into messages that the proxy takes."""

from collections.abc import Iterator, Sequence

from privacyplease.proxy.v1.dead_letter_service_pb2 import OpenRequest, OpenResponse, SealRequest

# The limits of `SealRequest.payloads` and `OpenRequest.letters`.
MAX_MESSAGES = 10_000
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
MAX_LETTER_BYTES = 24 * 1024 * 1024


def seal_requests(dataset: str, payloads: Sequence[bytes]) -> Iterator[SealRequest]:
    """Asks to seal payloads, as many with each request as it takes.

    Raises:
        ValueError: A single payload is larger than a request may be.
    """
    return (SealRequest(dataset=dataset, payloads=some) for some in _cut(payloads, "payloads", MAX_PAYLOAD_BYTES))


def open_requests(dataset: str, letters: Sequence[bytes]) -> Iterator[OpenRequest]:
    """Asks to open letters, as many with each request as it takes.

    Raises:
        ValueError: A single letter is larger than a request may be.
    """
    return (OpenRequest(dataset=dataset, letters=some) for some in _cut(letters, "letters", MAX_LETTER_BYTES))


def payloads_of(response: OpenResponse) -> list[bytes | None]:
    """The payload of each letter; None where it did not open."""
    unopened = set(response.unopened)
    return [None if at in unopened else payload for at, payload in enumerate(response.payloads)]


def _cut(messages: Sequence[bytes], what: str, most_bytes: int) -> Iterator[Sequence[bytes]]:
    first, size = 0, 0
    for at, message in enumerate(messages):
        if len(message) > most_bytes:
            raise ValueError(f"expected {what} of at most {most_bytes:,} bytes, got one of {len(message):,}")
        size += len(message)
        if size > most_bytes or at - first == MAX_MESSAGES:
            yield messages[first:at]
            first, size = at, len(message)
    if first < len(messages):
        yield messages[first:]
