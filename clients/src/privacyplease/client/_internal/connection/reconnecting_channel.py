"""A channel that is opened again when its certificate changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import grpc

from privacyplease.client._internal.credentials import Renewed

_Channel = TypeVar("_Channel")


class ReconnectingChannel(Generic[_Channel]):
    """The current channel to a server. Safe to use from many threads.

    Running calls keep the channel they started on, so a replaced channel stays open until all are closed. An idle
    channel costs next to nothing, and a certificate is renewed once in months.

    Args:
        folder: The folder of the client's certificate; None for plaintext.
        open_channel: Opens a channel with credentials, or in plaintext.

    Raises:
        CertificateError: The files cannot be used.
    """

    def __init__(self, folder: Path | None, open_channel: Callable[[grpc.ChannelCredentials | None], _Channel]) -> None:
        self._renewed = Renewed(folder) if folder else None
        self._open = open_channel
        self._lock = threading.Lock()
        self._used = self._credentials()
        self._channels = [open_channel(self._used)]

    def current(self) -> _Channel:
        """The channel for the next call."""
        credentials = self._credentials()
        with self._lock:
            if credentials is not self._used:
                self._used = credentials
                self._channels.append(self._open(credentials))
            return self._channels[-1]

    def opened(self) -> list[_Channel]:
        """Every channel that was opened, to be closed."""
        return list(self._channels)

    def _credentials(self) -> grpc.ChannelCredentials | None:
        return self._renewed.current() if self._renewed else None
