import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from privacyplease.client import AsyncClient, Client
from privacyplease.client._internal.ingest.dead_letters import (
    MAX_LETTER_BYTES,
    MAX_MESSAGES,
    MAX_PAYLOAD_BYTES,
    open_requests,
    seal_requests,
)
from privacyplease.proxy.v1.dead_letter_service_pb2 import OpenResponse, SealResponse


class Letters:
    """`Client.seal_letters` and `open_letters`, by either client."""

    def __init__(self, address: str, kind: str) -> None:
        self._address = address
        self._kind = kind

    def seal(self, payloads: Sequence[bytes]) -> list[bytes]:
        return self._ask("seal_letters", payloads)

    def open(self, sealed: Sequence[bytes]) -> list[bytes | None]:
        return self._ask("open_letters", sealed)

    def _ask(self, method: str, messages: Sequence[bytes]) -> list[Any]:
        if self._kind == "blocking":
            with Client(self._address, insecure=True) as client:
                return getattr(client, method)("wifi", messages)
        return asyncio.run(self._awaited(method, messages))

    async def _awaited(self, method: str, messages: Sequence[bytes]) -> list[Any]:
        async with AsyncClient(self._address, insecure=True) as client:
            return await getattr(client, method)("wifi", messages)


@pytest.fixture(params=["blocking", "async"])
def letters(request: pytest.FixtureRequest, proxy: Any) -> Letters:
    proxy.on("Seal", lambda request, _: SealResponse(letters=[b"sealed " + payload for payload in request.payloads]))
    return Letters(proxy.address, request.param)


def test_letters_are_in_the_order_of_their_payloads(letters: Letters, proxy: Any) -> None:
    payloads = [str(number).encode() for number in range(MAX_MESSAGES + 5)]
    assert letters.seal(payloads) == [b"sealed " + payload for payload in payloads]
    assert [len(request.payloads) for request in proxy.requests["Seal"]] == [MAX_MESSAGES, 5]
    assert {request.dataset for request in proxy.requests["Seal"]} == {"wifi"}


def test_an_unopened_letter_is_none_and_an_empty_payload_stays_empty(letters: Letters, proxy: Any) -> None:
    proxy.on("Open", lambda _, context: OpenResponse(payloads=[b"one", b"", b""], unopened=[2]))
    assert letters.open([b"a", b"b", b"c"]) == [b"one", b"", None]


def test_an_empty_list_makes_no_call(letters: Letters, proxy: Any) -> None:
    assert letters.seal([]) == []
    assert letters.open([]) == []
    assert not proxy.requests["Seal"]


def test_requests_stay_within_the_limits_of_the_contract() -> None:
    large = [bytes(MAX_PAYLOAD_BYTES // 2), bytes(MAX_PAYLOAD_BYTES // 2), b"x"]
    assert [len(request.payloads) for request in seal_requests("wifi", large)] == [2, 1]
    assert [len(request.letters) for request in open_requests("wifi", [bytes(MAX_LETTER_BYTES), b"x"])] == [1, 1]


def test_a_payload_too_large_for_any_request_is_rejected() -> None:
    with pytest.raises(ValueError, match="expected payloads of at most 16,777,216 bytes"):
        list(seal_requests("wifi", [bytes(MAX_PAYLOAD_BYTES + 1)]))
