"""Addresses of this machine, the only ones where anything is served in plaintext."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT can be reached only from this machine.

    >>> [is_loopback(address) for address in ("127.0.0.1:0", "[::1]:7070", "localhost:1")]
    [True, True, True]
    >>> [is_loopback(address) for address in ("0.0.0.0:0", "[::]:7070", "proxy.example.org:1", ":50050")]
    [False, False, False, False]
    """
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(address: str, error: type[Exception]) -> None:
    """Returns if plaintext is allowed at an address.

    Raises:
        Exception: `error`; the address can be reached from other machines.
    """
    if not is_loopback(address):
        raise error(f"--insecure is allowed only on loopback, got {address}; elsewhere, use certificates")


def serve_metrics(listen: str, serve: Callable[[int, str], int], error: type[Exception]) -> str:
    """Starts an HTTP server for metrics, which has no access control and so is only for loopback.

    Args:
        listen: HOST:PORT; port 0 chooses a free one.
        serve: Starts the server at a port and a host, and returns its port.
        error: What is raised if that is impossible.

    Returns:
        HOST:PORT with the server's port.

    Raises:
        Exception: `error`; the address is not HOST:PORT on loopback, or cannot be bound.
    """
    host, _, port = listen.rpartition(":")
    if not is_loopback(listen) or not port.isdigit():
        raise error(f"--metrics is allowed only on loopback: expected HOST:PORT, got {listen}")
    try:
        return f"{host}:{serve(int(port), host.strip('[]'))}"
    except OSError as cause:
        raise error(f"cannot serve metrics on {listen}: {cause.strerror}") from cause
