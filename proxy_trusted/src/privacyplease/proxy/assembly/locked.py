"""A locked proxy: it runs, and refuses calls with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from grpc_status import rpc_status

from privacyplease.proxy.assembly.contracts import SERVICES
from privacyplease.proxy.edge.rpc import status
from privacyplease.proxy.errors import ProxyError
from privacyplease.transport.handlers import wrapped


class Locked(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Refuses calls to the proxy's services; health and reflection still answer."""

    def __init__(self, error: Callable[[], ProxyError | None], unlocked: frozenset[str] = frozenset()) -> None:
        """Initialises the interceptor.

        Args:
            error: Returns why calls are refused now; None once none is.
            unlocked: Full names of services that answer all the same.
        """
        self._error = error
        self._refused = frozenset(SERVICES) - unlocked

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Makes the handlers of locked services refuse. gRPC keeps a handler, so each call looks again."""
        handler = continuation(details)
        if details.method.lstrip("/").split("/")[0] not in self._refused:
            return handler
        if handler is None:  # this proxy does not have the service
            # A stream in both directions works for every rpc: the call is refused before a message is read or sent.
            return grpc.stream_stream_rpc_method_handler(self._refuse)
        streams = bool(handler.response_streaming)
        return wrapped(handler, lambda behaviour: self._refusing(behaviour, streams=streams))

    def _refusing(self, behaviour: Callable[..., Any], *, streams: bool) -> Callable[..., Any]:
        def one(request: object, context: grpc.ServicerContext) -> object:
            self._require_unlocked(context)
            return behaviour(request, context)

        def many(request: object, context: grpc.ServicerContext) -> Iterator[object]:
            self._require_unlocked(context)
            yield from behaviour(request, context)

        return many if streams else one

    def _refuse(self, _requests: object, context: grpc.ServicerContext) -> Iterator[object]:
        self._require_unlocked(context)
        raise AssertionError("expected a reason why a service is missing, got none")

    def _require_unlocked(self, context: grpc.ServicerContext) -> None:
        if error := self._error():
            context.abort_with_status(rpc_status.to_status(status(error)))
