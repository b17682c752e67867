"""A channel that is opened again when its certificates change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import grpc

from privacyplease.transport.credentials import Credentials, ReloadingCredentials

Channel = TypeVar("Channel")


class ReconnectingChannel(Generic[Channel]):
    """The current channel to a server. Safe to use from many threads.

    Running calls keep the channel that they began on, so a previous channel stays open until all are closed. While idle
    it costs next to nothing, and certificates are renewed once in months.
    """

    def __init__(
        self,
        folder: Path | None,
        open_channel: Callable[[grpc.ChannelCredentials | None], Channel],
        error: type[Exception],
    ) -> None:
        """Opens a first channel.

        Args:
            folder: Of this end's certificate (`credentials`); None for plaintext.
            open_channel: Opens a channel with these credentials, or in plaintext.
            error: What files that cannot be used raise.
        """
        self._reloading = ReloadingCredentials(folder, error) if folder else None
        self._open = open_channel
        self._lock = threading.Lock()
        self._used = self._credentials()
        self._channels = [self._new_channel(self._used)]

    def current(self) -> Channel:
        """The channel for the next call."""
        credentials = self._credentials()
        with self._lock:
            if credentials is not self._used:
                self._used = credentials
                self._channels.append(self._new_channel(credentials))
            return self._channels[-1]

    def opened(self) -> list[Channel]:
        """Every channel that was opened, for closing them."""
        return list(self._channels)

    def _credentials(self) -> Credentials | None:
        return self._reloading.current() if self._reloading else None

    def _new_channel(self, credentials: Credentials | None) -> Channel:
        return self._open(credentials.channel() if credentials else None)
