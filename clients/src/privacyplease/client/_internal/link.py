"""What the clients hold of their connection: a channel that is opened anew when its certificate is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import grpc
import grpc.aio

from privacyplease.client._internal.channel import open_async, open_blocking
from privacyplease.client._internal.credentials import Renewed, is_loopback

_Channel = TypeVar("_Channel")


class Link(Generic[_Channel]):
    """The way to a proxy. Safe to use from many threads.

    Calls that run keep the channel that they began on: those of before are closed at the end. Idle, they cost nothing
    to speak of, and a renewal comes once in months.
    """

    def __init__(
        self,
        address: str,
        certificates: Path | None,
        open_channel: Callable[[str, grpc.ChannelCredentials | None], _Channel],
    ) -> None:
        self._address = address
        self._open = open_channel
        self._renewed = Renewed(certificates) if certificates else None
        self._lock = threading.Lock()
        self._used = self._credentials()
        self._channels = [open_channel(address, self._used)]

    def channel(self) -> _Channel:
        """The channel for the next call."""
        credentials = self._credentials()
        with self._lock:
            if credentials is not self._used:
                self._used = credentials
                self._channels.append(self._open(self._address, credentials))
            return self._channels[-1]

    def channels(self) -> list[_Channel]:
        """All that were opened, to be closed."""
        return list(self._channels)

    def _credentials(self) -> grpc.ChannelCredentials | None:
        return self._renewed.current() if self._renewed else None


def link_blocking(address: str, certificates: Path | str | None, insecure: bool) -> Link[grpc.Channel]:
    """A way to the proxy for ordinary code.

    Raises:
        CertificateError: The files cannot be used.
        ValueError: There is neither a certificate nor `insecure`, or that for another machine.
    """
    return Link(address, _checked(address, certificates, insecure), open_blocking)


def link_async(address: str, certificates: Path | str | None, insecure: bool) -> Link[grpc.aio.Channel]:
    """As `link_blocking`, for the running event loop."""
    return Link(address, _checked(address, certificates, insecure), open_async)


def _checked(address: str, certificates: Path | str | None, insecure: bool) -> Path | None:
    if (certificates is None) is not insecure:
        raise ValueError("expected either certificates=FOLDER or, for a proxy on this machine, insecure=True")
    if insecure and not is_loopback(address):
        raise ValueError(f"insecure=True is for loopback alone, got {address}; elsewhere give certificates=FOLDER")
    return Path(certificates) if certificates is not None else None
