"""For whom a service asks, as the contract carries it: metadata of the call."""

from typing import TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str], ...]

_KEY = "privacyplease-on-behalf-of"


def on_behalf_of(person: str) -> Metadata:
    """What goes with every call that is made for a person."""
    return ((_KEY, person),)
