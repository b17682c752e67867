"""The channel of a client to its proxy: where it is, and which certificate is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import grpc

from privacyplease.client.errors import CertificateError
from privacyplease.transport.address import checked_address
from privacyplease.transport.loopback import is_loopback
from privacyplease.transport.reconnecting_channel import ReconnectingChannel

_Channel = TypeVar("_Channel")


class Peer(Protocol):
    """Where a proxy is, and the folder of the certificate that it is shown; None for plaintext."""

    @property
    def address(self) -> str: ...
    @property
    def certificates(self) -> Path | None: ...


_Other = TypeVar("_Other")


class ProxyChannel(ReconnectingChannel[_Channel]):
    """The current channel to a proxy.

    Args:
        address: The proxy's host:port.
        certificates: The folder of the client's certificate; None for plaintext.
        insecure: Whether plaintext was asked for.
        open_channel: Opens a channel to an address with credentials, or in plaintext: `channel.open_blocking`, for one.

    Raises:
        CertificateError: The files cannot be used.
        ValueError: `address` is not HOST:PORT. Or neither or both of `certificates` and `insecure` are given, or
            `insecure` for another machine.
    """

    def __init__(
        self,
        address: str,
        certificates: Path | str | None,
        insecure: bool,
        open_channel: Callable[[str, grpc.ChannelCredentials | None], _Channel],
    ) -> None:
        self.address = address
        self.certificates = _checked(address, certificates, insecure)
        super().__init__(self.certificates, partial(open_channel, address), CertificateError)

    def reopened(self, open_channel: Callable[[str, grpc.ChannelCredentials | None], _Other]) -> ProxyChannel[_Other]:
        """A channel of another kind to the same proxy, with the same certificate."""
        return ProxyChannel(self.address, self.certificates, self.certificates is None, open_channel)


def _checked(address: str, certificates: Path | str | None, insecure: bool) -> Path | None:
    try:
        checked_address(address)
    except ValueError as error:
        raise ValueError(f"address: {error}") from None
    if (certificates is None) is not insecure:
        raise ValueError("expected either certificates=FOLDER or, for a proxy on this machine, insecure=True")
    if insecure and not is_loopback(address):
        raise ValueError(f"insecure=True is allowed only on loopback, got {address}; elsewhere use certificates=FOLDER")
    return Path(certificates) if certificates is not None else None
