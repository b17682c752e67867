"""Addresses of servers, checked where they are given: gRPC and Kafka's client would only fail to connect."""

from __future__ import annotations

import re

_LAST_PORT = 65_535

# A name, an IPv4 address, or an IPv6 address in brackets.
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\s:/@\[\],]+):([0-9]{1,5})", re.ASCII)


def checked_address(text: str) -> str:
    """An address to connect to, as it was given.

    Raises:
        ValueError: It is not HOST:PORT.

    >>> checked_address("proxy.example.org:50050"), checked_address("[::1]:50050")
    ('proxy.example.org:50050', '[::1]:50050')
    >>> checked_address("http://office.example.org")
    Traceback (most recent call last):
        ...
    ValueError: expected HOST:PORT, got 'http://office.example.org'
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[1]) <= _LAST_PORT:
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return text
