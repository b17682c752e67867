"""The only place where channels to the proxy are opened."""

import asyncio
import json
from typing import Any

import grpc
from grpc.experimental import ChannelOptions

from privacyplease.transport.keepalive import KEEPALIVE

_STATELESS_SERVICES = (
    "privacyplease.proxy.v1.AccessService",
    "privacyplease.proxy.v1.PresenceService",
    "privacyplease.proxy.v1.OccupancyService",
    "privacyplease.proxy.v1.QueryService",
    "privacyplease.proxy.v1.StationsService",
    "privacyplease.proxy.v1.AdminService",
    "privacyplease.proxy.v1.AuditService",
    "privacyplease.proxy.v1.DeadLetterService",
)

# gRPC itself retries only calls without side effects (gRFC A6): questions, and dead letters to seal or open. What an
# ingest must send again is kept in its `Window`.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": service} for service in _STATELESS_SERVICES],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}

# The contract's largest message is 16 MiB of Arrow; twice that leaves room for the fields around it.
_MESSAGE_LIMIT = 32 * 1024 * 1024

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Connect to the address itself, never through the HTTP proxy that $http_proxy names.
    ("grpc.enable_http_proxy", 0),
)

# The calling thread reads the pages itself; otherwise gRPC starts a thread for each question.
_ONLY_BLOCKING = (ChannelOptions.SingleThreadedUnaryStream, 1)


def open_blocking(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    """A channel to the proxy at `address` (host:port), plaintext without credentials. It connects on first use."""
    options = [*_OPTIONS, *KEEPALIVE.channel_options(), _ONLY_BLOCKING]
    if credentials is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, credentials, options=options)


def open_async(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """As `open_blocking`, for the running event loop.

    Raises:
        RuntimeError: No event loop runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "expected a running event loop: create AsyncClient in a coroutine, as one that asyncio.run runs"
        ) from None
    options = [*_OPTIONS, *KEEPALIVE.channel_options()]
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)
