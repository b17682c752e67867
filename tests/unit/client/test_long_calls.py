"""The timeout of questions does not apply to calls that may read the whole store."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from privacyplease.client import AsyncClient, Client
from privacyplease.proxy.v1 import audit_service_pb2, keys_service_pb2

DAY = datetime(2024, 10, 1, tzinfo=UTC)
RENEWED = keys_service_pb2.RotateEpochResponse(epoch=keys_service_pb2.Epoch(state=keys_service_pb2.EPOCH_STATE_IN_USE))
CALLS: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("RotateMaster", lambda client: client.rotate_master(), keys_service_pb2.RotateMasterResponse()),
    ("RotateEpoch", lambda client: client.rotate_epoch("wifi", DAY), RENEWED),
    (
        "DestroyEpochs",
        lambda client: client.destroy_epochs("wifi", before=DAY),
        keys_service_pb2.DestroyEpochsResponse(),
    ),
    ("VerifyLog", lambda client: client.verify_audit(), audit_service_pb2.VerifyLogResponse()),
]


@pytest.mark.parametrize(("method", "ask", "response"), CALLS, ids=[method for method, _, _ in CALLS])
def test_long_calls_have_no_timeout(proxy: Any, method: str, ask: Callable[[Any], Any], response: Any) -> None:
    def late(_request: object, _context: grpc.ServicerContext) -> Any:
        time.sleep(0.1)
        return response

    async def ask_async() -> Any:
        async with AsyncClient(proxy.address, insecure=True, timeout=0.01) as client:
            return await ask(client)

    proxy.on(method, late)
    with Client(proxy.address, insecure=True, timeout=0.01) as client:
        assert ask(client) == asyncio.run(ask_async())
