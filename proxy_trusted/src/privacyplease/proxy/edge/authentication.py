"""Authentication: every call must come from a client that its certificate names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

import grpc

from privacyplease.proxy.edge.identity import CLIENT, client_of
from privacyplease.proxy.edge.rpc import fail
from privacyplease.proxy.errors import ProxyError, UnknownIdentityError
from privacyplease.transport.handlers import Behaviour, Continuation, Handler, wrapped


class Authentication(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Refuses every call, to health and reflection too, whose certificate names no client."""

    def __init__(self, on_refusal: Callable[[str, UnknownIdentityError], None] | None = None) -> None:
        """Initialises the interceptor.

        Args:
            on_refusal: Called with rpc and error for each refused call, before the caller gets the error.
        """
        self._on_refusal = on_refusal

    def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        """Wraps the rpc's handler with the check."""
        handler = continuation(details)
        return handler and wrapped(handler, partial(self._checked, details.method))

    def _checked(self, rpc: str, behaviour: Behaviour) -> Behaviour:
        @wraps(behaviour)
        def checked(request: object, context: grpc.ServicerContext, *more: object) -> object:
            try:
                self._require_client(rpc, context)
            except ProxyError as error:
                fail(error, context)
            return behaviour(request, context, *more)

        return checked

    def _require_client(self, rpc: str, context: grpc.ServicerContext) -> None:
        if client_of(context) is None:
            error = UnknownIdentityError(f"expected a certificate with exactly one identity {CLIENT}NAME")
            if self._on_refusal:
                self._on_refusal(rpc, error)
            raise error
