"""The caller of an rpc, and the user on whose behalf they call."""

from __future__ import annotations

from typing import NamedTuple

import grpc

from privacyplease.proxy.access.policy import NOTHING, Grant
from privacyplease.proxy.edge.identity import client_of

ON_BEHALF_OF = "privacyplease-on-behalf-of"

_MOST_CHARACTERS = 64  # names are shorter


class Caller(NamedTuple):
    """The caller of an rpc and what they may ask.

    Attributes:
        name: The name in the certificate; "" in plaintext.
        on_behalf_of: The user they act for; "" if they act for themselves.
        grant: What they may ask.
    """

    name: str
    on_behalf_of: str
    grant: Grant = NOTHING

    @classmethod
    def of(cls, context: grpc.ServicerContext) -> Caller:
        """The caller as the call names them, with no grant yet.

        Several users are joined by commas, which no name contains, so no policy entry matches.
        """
        users = [str(value) for key, value in context.invocation_metadata() if key == ON_BEHALF_OF]
        return cls(client_of(context) or "", ",".join(users)[:_MOST_CHARACTERS])
