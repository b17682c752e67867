"""Calls on another user's behalf: the proxy reads whose from the metadata of the call."""

from typing import TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str], ...]

_ON_BEHALF_OF = "privacyplease-on-behalf-of"


def on_behalf_of(person: str) -> Metadata:
    """The metadata of every call that is made on a person's behalf."""
    return ((_ON_BEHALF_OF, person),)
