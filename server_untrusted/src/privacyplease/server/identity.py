"""Who may call: the proxy, and nobody else that the same CA may have certified.

The proxy's certificate says so itself, by a URI in its subject alternative name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias, cast

import grpc
from grpc_status import rpc_status

from privacyplease.server.errors import UnknownIdentityError
from privacyplease.server.status import status_of

PROXY = "privacyplease://proxy"

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def is_proxy(context: grpc.ServicerContext) -> bool:
    """Whether TLS has proved that the proxy calls."""
    proved = cast(Mapping[str, Sequence[bytes]], context.auth_context())  # the stubs say less
    return list(proved.get("peer_uri", ())) == [PROXY.encode()]


class ProxyAlone(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Refuses every call of every service, health and reflection included, that is not the proxy's."""

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Puts the check before whatever would answer."""
        handler = continuation(details)
        return handler and rewrapped(handler, _checked)


def rewrapped(handler: _Handler, change: Callable[[_Behaviour], _Behaviour]) -> _Handler:
    """The handler of an rpc with something around its behaviour."""
    makers = {
        (False, False): (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
        (True, True): (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
    }
    make, behaviour = makers[bool(handler.request_streaming), bool(handler.response_streaming)]
    changed = change(cast(_Behaviour, behaviour))
    made: _Handler = make(changed, handler.request_deserializer, handler.response_serializer)
    return made


def _checked(behaviour: _Behaviour) -> _Behaviour:
    @wraps(behaviour)
    def checked(request: object, context: grpc.ServicerContext, *more: object) -> object:
        if not is_proxy(context):
            context.abort_with_status(rpc_status.to_status(status_of(UnknownIdentityError())))
        return behaviour(request, context, *more)

    return checked
