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
from typing import cast

import grpc

PROXY = "privacyplease://proxy"
CLIENT = "privacyplease://client/"

# A name is also the name of a folder.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

# The call that this thread was asked about last, and its client: to ask gRPC takes longer than to check a policy.
_known: ContextVar[tuple[Callable[[], grpc.ServicerContext | None], str | None]] = ContextVar(
    "known", default=(lambda: None, None)
)


def client_uri(name: str) -> str:
    """The identity of a client.

    Raises:
        ValueError: It is no name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of small letters, digits, '.', '_' and '-', at most 63, got {name!r}")
    return CLIENT + name


def client_name(uris: Iterable[str]) -> str | None:
    """The client's name among the URIs of a certificate; None if there is none, or more than one."""
    names = [uri.removeprefix(CLIENT) for uri in uris if uri.startswith(CLIENT)]
    return names[0] if len(names) == 1 and _NAME.fullmatch(names[0]) else None


def client_of(context: grpc.ServicerContext) -> str | None:
    """The name of the client that calls, which TLS has proved; None if it has none, as in plaintext."""
    call, name = _known.get()
    if call() is not context:
        proved = cast(Mapping[str, Sequence[bytes]], context.auth_context())  # the stubs say less
        name = client_name(uri.decode(errors="replace") for uri in proved.get("peer_uri", ()))
        _known.set((weakref.ref(context), name))
    return name
