"""gRPC's method handlers, with something put around what they call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import grpc

Behaviour: TypeAlias = Callable[..., Any]
"""The function that answers an rpc."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Handler | None]"
"""What gives an interceptor the handler that would answer without it."""


def behaviour_of(handler: Handler) -> Behaviour:
    """The function behind a handler, whichever of the four kinds of rpc it is for."""
    return cast(Behaviour, handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream)


def wrapped(handler: Handler, wrap: Callable[[Behaviour], Behaviour]) -> Handler:
    """The same handler, with its behaviour replaced by `wrap(behaviour)`."""
    makers = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = makers[bool(handler.request_streaming), bool(handler.response_streaming)]
    new: Handler = make(wrap(behaviour_of(handler)), handler.request_deserializer, handler.response_serializer)
    return new
