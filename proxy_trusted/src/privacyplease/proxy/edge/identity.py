"""Identities: the name of the other end of a connection, from its certificate.

An identity is a URI in the certificate's subject alternative name, as in SPIFFE: `privacyplease://client/alice` for a
client, `privacyplease://proxy` for the proxy itself. Other certificates of the same CA are not accepted.

    >>> client_uri("alice")
    'privacyplease://client/alice'
    >>> client_name(["privacyplease://client/alice"])
    'alice'
    >>> client_name(["privacyplease://proxy"]) is None
    True
"""

from __future__ import annotations

import hashlib
import re
import ssl
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import cast

import grpc

PROXY = "privacyplease://proxy"
CLIENT = "privacyplease://client/"

# A name is also used as a folder's name.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

# The last call that this thread looked up, and its client: asking gRPC takes longer than checking a policy.
_known: ContextVar[tuple[Callable[[], grpc.ServicerContext | None], str | None]] = ContextVar(
    "known", default=(lambda: None, None)
)


def client_uri(name: str) -> str:
    """The identity of a client.

    Raises:
        ValueError: The name is not valid.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"expected a name of at most 63 lower-case letters, digits, '.', '_' and '-', "
            f"starting with a letter or digit, got {name!r}"
        )
    return CLIENT + name


def client_name(uris: Iterable[str]) -> str | None:
    """The client's name among the URIs of a certificate; None if there is none, or more than one."""
    names = [uri.removeprefix(CLIENT) for uri in uris if uri.startswith(CLIENT)]
    return names[0] if len(names) == 1 and _NAME.fullmatch(names[0]) else None


def fingerprint(certificate: bytes) -> str:
    """A certificate's SHA-256 fingerprint, in hexadecimal.

    Args:
        certificate: The certificate in DER.
    """
    return hashlib.sha256(certificate).hexdigest()


def fingerprint_of(context: grpc.ServicerContext) -> str | None:
    """The fingerprint of the certificate that the calling client has shown; None in plaintext."""
    shown = cast(Mapping[str, Sequence[bytes]], context.auth_context()).get("x509_pem_cert", ())
    return fingerprint(ssl.PEM_cert_to_DER_cert(shown[0].decode())) if shown else None


def client_of(context: grpc.ServicerContext) -> str | None:
    """The name of the calling client, as proved by TLS; None if it has none, as in plaintext."""
    call, name = _known.get()
    if call() is not context:
        proved = cast(Mapping[str, Sequence[bytes]], context.auth_context())  # the stubs say less
        name = client_name(uri.decode(errors="replace") for uri in proved.get("peer_uri", ()))
        _known.set((weakref.ref(context), name))
    return name
