"""Who may call: only the proxy, and no other holder of a certificate of the same CA.

The proxy's certificate identifies it by a URI in its subject alternative name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import wraps
from typing import cast

import grpc

from privacyplease.server.errors import UnknownIdentityError
from privacyplease.server.status import fail
from privacyplease.transport.handlers import Behaviour, Continuation, Handler, wrapped

PROXY = "privacyplease://proxy"


def is_proxy(context: grpc.ServicerContext) -> bool:
    """Whether TLS has proved that the caller is the proxy."""
    properties = cast(Mapping[str, Sequence[bytes]], context.auth_context())  # the stubs do not say so
    return list(properties.get("peer_uri", ())) == [PROXY.encode()]


class OnlyProxy(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Refuses every call that is not the proxy's, to every service, health and reflection included."""

    def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        """Puts the check in front of the handler."""
        handler = continuation(details)
        return handler and wrapped(handler, _checked)


def _checked(behaviour: Behaviour) -> Behaviour:
    @wraps(behaviour)
    def checked(request: object, context: grpc.ServicerContext, *more: object) -> object:
        if not is_proxy(context):
            fail(UnknownIdentityError(), context)
        return behaviour(request, context, *more)

    return checked
