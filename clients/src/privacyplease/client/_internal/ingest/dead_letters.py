"""Groups dead letters, and payloads to be sealed as such, into requests within the limits of the contract."""

from collections.abc import Iterator, Sequence

from privacyplease.proxy.v1.dead_letter_service_pb2 import OpenRequest, OpenResponse, SealRequest

# The limits of `SealRequest.payloads` and `OpenRequest.letters`.
MAX_MESSAGES = 10_000
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
MAX_LETTER_BYTES = 24 * 1024 * 1024


def seal_requests(dataset: str, payloads: Sequence[bytes]) -> Iterator[SealRequest]:
    """Requests that seal the payloads, with as many in each as fit.

    Raises:
        ValueError: A single payload is larger than a request may be.
    """
    return (SealRequest(dataset=dataset, payloads=group) for group in _grouped(payloads, "payloads", MAX_PAYLOAD_BYTES))


def open_requests(dataset: str, letters: Sequence[bytes]) -> Iterator[OpenRequest]:
    """Requests that open the letters, with as many in each as fit.

    Raises:
        ValueError: A single letter is larger than a request may be.
    """
    return (OpenRequest(dataset=dataset, letters=group) for group in _grouped(letters, "letters", MAX_LETTER_BYTES))


def payloads_of(response: OpenResponse) -> list[bytes | None]:
    """The payload of each letter; None for one that did not open."""
    unopened = set(response.unopened)
    return [None if number in unopened else payload for number, payload in enumerate(response.payloads)]


def _grouped(messages: Sequence[bytes], noun: str, max_bytes: int) -> Iterator[Sequence[bytes]]:
    first, size = 0, 0
    for number, message in enumerate(messages):
        if len(message) > max_bytes:
            raise ValueError(f"expected {noun} of at most {max_bytes:,} bytes, got one of {len(message):,}")
        size += len(message)
        if size > max_bytes or number - first == MAX_MESSAGES:
            yield messages[first:number]
            first, size = number, len(message)
    if first < len(messages):
        yield messages[first:]
