"""A channel to the proxy that is opened anew when the client's certificate is renewed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import grpc

from privacyplease.client._internal.credentials import Renewed, is_loopback

_Channel = TypeVar("_Channel")
_Other = TypeVar("_Other")

OpenChannel = Callable[[str, grpc.ChannelCredentials | None], _Channel]


class ReconnectingChannel(Generic[_Channel]):
    """A channel to a proxy, and its successors. Safe to use from many threads.

    Running calls keep the channel they started on, so replaced channels stay open until the end. An idle channel costs
    next to nothing, and a certificate is renewed once in months.

    Args:
        address: The proxy's host:port.
        certificates: The folder of the client's certificate; None for plaintext.
        insecure: Whether plaintext was asked for.
        open_channel: Opens a channel to an address with credentials.

    Raises:
        CertificateError: The files cannot be used.
        ValueError: Neither or both of `certificates` and `insecure` are given, or `insecure` for another machine.
    """

    def __init__(
        self, address: str, certificates: Path | str | None, insecure: bool, open_channel: OpenChannel[_Channel]
    ) -> None:
        self._address = address
        self._certificates = certificates
        self._insecure = insecure
        self._open = open_channel
        folder = _checked(address, certificates, insecure)
        self._renewed = Renewed(folder) if folder else None
        self._lock = threading.Lock()
        self._credentials = self._current_credentials()
        self._channels = [open_channel(address, self._credentials)]

    def current(self) -> _Channel:
        """The channel for the next call."""
        credentials = self._current_credentials()
        with self._lock:
            if credentials is not self._credentials:
                self._credentials = credentials
                self._channels.append(self._open(self._address, credentials))
            return self._channels[-1]

    def opened(self) -> list[_Channel]:
        """Every channel that was opened, to be closed."""
        return list(self._channels)

    def reopened(self, open_channel: OpenChannel[_Other]) -> ReconnectingChannel[_Other]:
        """A channel of another kind to the same proxy, with the same certificate."""
        return ReconnectingChannel(self._address, self._certificates, self._insecure, open_channel)

    def _current_credentials(self) -> grpc.ChannelCredentials | None:
        return self._renewed.current() if self._renewed else None


def _checked(address: str, certificates: Path | str | None, insecure: bool) -> Path | None:
    if (certificates is None) is not insecure:
        raise ValueError("expected either certificates=FOLDER or, for a proxy on this machine, insecure=True")
    if insecure and not is_loopback(address):
        raise ValueError(f"insecure=True is allowed only on loopback, got {address}; elsewhere use certificates=FOLDER")
    return Path(certificates) if certificates is not None else None
