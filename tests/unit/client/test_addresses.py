from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from privacyplease.client import AsyncClient, Client


def asynchronous(address: str) -> None:
    async def create() -> None:
        AsyncClient(address, insecure=True)

    asyncio.run(create())


def blocking(address: str) -> None:
    Client(address, insecure=True)


@pytest.mark.parametrize("address", ["http://127.0.0.1:50050", "127.0.0.1", "127.0.0.1:99999"])
@pytest.mark.parametrize("create", [blocking, asynchronous])
def test_an_address_that_is_none_is_rejected_before_the_first_call(create: Callable[[str], None], address: str) -> None:
    with pytest.raises(ValueError, match=r"^address: expected HOST:PORT, got '"):
        create(address)


def test_an_async_client_outside_an_event_loop_says_what_it_needs() -> None:
    with pytest.raises(RuntimeError, match="expected a running event loop"):
        AsyncClient("127.0.0.1:50050", insecure=True)
