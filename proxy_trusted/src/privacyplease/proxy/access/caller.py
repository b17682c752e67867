"""Who calls, and for whom."""

from __future__ import annotations

from typing import NamedTuple

import grpc

from privacyplease.proxy.access.policy import NOTHING, Grant
from privacyplease.proxy.edge.identity import client_of

ON_BEHALF_OF = "privacyplease-on-behalf-of"

_MOST_CHARACTERS = 64  # a name has fewer


class Caller(NamedTuple):
    """Who calls, and what they may ask.

    Attributes:
        name: The name in the certificate; "" in plaintext.
        on_behalf_of: For whom; "" for nobody else.
        grant: What they may ask.
    """

    name: str
    on_behalf_of: str
    grant: Grant = NOTHING

    @classmethod
    def of(cls, context: grpc.ServicerContext) -> Caller:
        """As the call says, which may do nothing yet. Of several people it says all, which is nobody's name."""
        people = [str(value) for key, value in context.invocation_metadata() if key == ON_BEHALF_OF]
        return cls(client_of(context) or "", ",".join(people)[:_MOST_CHARACTERS])
