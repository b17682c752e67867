"""A locked proxy: it runs, and refuses calls with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from grpc_status import rpc_status

from privacyplease.proxy.assembly.contracts import SERVICES
from privacyplease.proxy.edge.rpc import status
from privacyplease.proxy.errors import ProxyError


class Locked(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Refuses every call to the proxy's services; health and reflection still answer."""

    def __init__(self, error: ProxyError, unlocked: frozenset[str] = frozenset()) -> None:
        """Initialises the interceptor.

        Args:
            error: Why calls are refused.
            unlocked: Full names of services that answer all the same.
        """

        def refuse(_requests: object, context: grpc.ServicerContext) -> Iterator[object]:
            context.abort_with_status(rpc_status.to_status(status(error)))
            raise AssertionError("abort_with_status returned")

        self._refused = frozenset(SERVICES) - unlocked
        # A stream in both directions works for every rpc: the call is refused before a message is read or sent.
        self._refusal = grpc.stream_stream_rpc_method_handler(refuse)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Replaces the handlers of locked services by one that refuses."""
        refused = details.method.lstrip("/").split("/")[0] in self._refused
        return self._refusal if refused else continuation(details)
