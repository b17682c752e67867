"""Who is at the other end of a connection: the name in its certificate.

An identity is a URI in the certificate's subject alternative name, as SPIFFE has it: `privacyplease://client/alice` for
a client, `privacyplease://proxy` for the proxy itself. A CA that also certifies other things lets none of them in.

    >>> client_uri("alice")
    'privacyplease://client/alice'
    >>> client_name(["privacyplease://client/alice"])
    'alice'
    >>> client_name(["privacyplease://proxy"]) is None
    True
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, TypeAlias, cast

import grpc

from privacyplease.proxy.errors import ProxyError, UnknownIdentityError
from privacyplease.proxy.rpc import fail

PROXY = "privacyplease://proxy"
_CLIENT = "privacyplease://client/"

# A name is also the name of a folder.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

# The call that this thread was asked about last, and its client: to ask gRPC takes longer than to check a policy.
_known: ContextVar[tuple[Callable[[], grpc.ServicerContext | None], str | None]] = ContextVar(
    "known", default=(lambda: None, None)
)

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def client_uri(name: str) -> str:
    """The identity of a client.

    Raises:
        ValueError: It is no name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of small letters, digits, '.', '_' and '-', at most 63, got {name!r}")
    return _CLIENT + name


def client_name(uris: Iterable[str]) -> str | None:
    """The client's name among the URIs of a certificate; None if there is none, or more than one."""
    names = [uri.removeprefix(_CLIENT) for uri in uris if uri.startswith(_CLIENT)]
    return names[0] if len(names) == 1 and _NAME.fullmatch(names[0]) else None


def client_of(context: grpc.ServicerContext) -> str | None:
    """The name of the client that calls, which TLS has proved; None if it has none, as in plaintext."""
    call, name = _known.get()
    if call() is not context:
        proved = cast(Mapping[str, Sequence[bytes]], context.auth_context())  # the stubs say less
        name = client_name(uri.decode(errors="replace") for uri in proved.get("peer_uri", ()))
        _known.set((weakref.ref(context), name))
    return name


class Identified(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Refuses every call of every service, health and reflection included, whose certificate names no client."""

    def __init__(self, refused: Callable[[str, UnknownIdentityError], None] | None = None) -> None:
        """Tells `refused`, if it is given, of each call that it refuses, before the caller is told."""
        self._refused = refused

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Puts the check before whatever would answer."""
        handler = continuation(details)
        return handler and rewrapped(handler, partial(self._checked, details.method))

    def _checked(self, rpc: str, behaviour: _Behaviour) -> _Behaviour:
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
            error = UnknownIdentityError(f"expected a certificate with one identity {_CLIENT}NAME, got one without")
            if self._refused:
                self._refused(rpc, error)
            raise error


def rewrapped(handler: _Handler, change: Callable[[_Behaviour], _Behaviour]) -> _Handler:
    """The handler of an rpc with something around its behaviour."""
    makers = {
        (False, False): (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
        (True, True): (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
    }
    make, behaviour = makers[bool(handler.request_streaming), bool(handler.response_streaming)]
    made: _Handler = make(
        change(cast(_Behaviour, behaviour)), handler.request_deserializer, handler.response_serializer
    )
    return made
