"""What the clients hold of their connection: a channel that is opened anew when its certificate is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import grpc
import grpc.aio

from privacyplease.client._internal.channel import open_async, open_blocking
from privacyplease.client.errors import CertificateError
from privacyplease.transport.loopback import is_loopback
from privacyplease.transport.reconnecting_channel import ReconnectingChannel


def link_blocking(address: str, certificates: Path | str | None, insecure: bool) -> ReconnectingChannel[grpc.Channel]:
    """A way to the proxy for ordinary code.

    Raises:
        CertificateError: The files cannot be used.
        ValueError: There is neither a certificate nor `insecure`, or that for another machine.
    """
    folder = _checked(address, certificates, insecure)
    return ReconnectingChannel(folder, partial(open_blocking, address), CertificateError)


def link_async(address: str, certificates: Path | str | None, insecure: bool) -> ReconnectingChannel[grpc.aio.Channel]:
    """As `link_blocking`, for the running event loop."""
    folder = _checked(address, certificates, insecure)
    return ReconnectingChannel(folder, partial(open_async, address), CertificateError)


def _checked(address: str, certificates: Path | str | None, insecure: bool) -> Path | None:
    if (certificates is None) is not insecure:
        raise ValueError("expected either certificates=FOLDER or, for a proxy on this machine, insecure=True")
    if insecure and not is_loopback(address):
        raise ValueError(
            f"insecure=True is allowed only on loopback, got {address}; elsewhere, use certificates=FOLDER"
        )
    return Path(certificates) if certificates is not None else None
