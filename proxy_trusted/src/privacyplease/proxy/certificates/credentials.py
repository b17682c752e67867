"""Certificates as a process uses them: a folder of three files, read again when they change.

::

    folder/
    ├── tls.crt     this process's certificate
    ├── tls.key     its private key
    └── ca.crt      whom it trusts at the other end

The names are those of Kubernetes and cert-manager. Both ends of a connection show a certificate (mutual TLS).
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from privacyplease.proxy.errors import ConfigurationError

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """What is in the files, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes

    def server(self) -> grpc.ServerCertificateConfiguration:
        """For gRPC's server side."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.authority)

    def channel(self) -> grpc.ChannelCredentials:
        """For gRPC's client side."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def load(folder: Path) -> Credentials:
    """Reads a folder.

    Raises:
        ConfigurationError: A file is missing or is none of its kind, or the key is not that of the certificate.
    """
    try:
        certificate, key, authority = ((folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY))
        check = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        check.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=_no_password)
        check.load_verify_locations(folder / AUTHORITY)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{folder}: the certificates cannot be used: {error.reason or error}") from error
    except OSError as error:
        raise ConfigurationError(f"{folder}: expected {CERTIFICATE}, {KEY} and {AUTHORITY}: {error}") from error
    return Credentials(certificate, key, authority)


class Renewed:
    """The credentials in a folder, as they are now. Safe to use from many threads.

    Files that cannot be used, as between the two steps of a renewal, leave those in force that were.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._now = load(folder)

    def current(self) -> Credentials:
        """Reads the files if they changed. The same object as before if nothing did."""
        with self._lock:
            stamps = self._stamps()
            if stamps and stamps != self._seen:
                self._reload(stamps)
            return self._now

    def _reload(self, stamps: tuple[int, ...]) -> None:
        try:
            fresh = load(self._folder)
        except ConfigurationError as error:
            _log.warning("%s; those read before stay in force", error)
            return
        if stamps == self._stamps():  # else they changed under our hands: next time
            self._now, self._seen = fresh, stamps
            _log.info("certificates read again from %s", self._folder)

    def _stamps(self) -> tuple[int, ...]:
        """Changes when a file does; empty while one is missing."""
        try:
            files = [(self._folder / name).stat() for name in (CERTIFICATE, KEY, AUTHORITY)]
        except OSError:
            return ()
        return tuple(number for file in files for number in (file.st_mtime_ns, file.st_ino, file.st_size))


class _News:
    """What gRPC asks before each handshake: new certificates, or None.

    None matters. Given certificates, gRPC frees the ones before while other handshakes may still use them, and crashes
    (grpc/grpc#36693): a few strangers who connect at once were enough. Now it can happen only as they are renewed.
    """

    def __init__(self, renewed: Renewed, given: Credentials) -> None:
        self._renewed = renewed
        self._given = given
        self._lock = threading.Lock()

    def get(self) -> grpc.ServerCertificateConfiguration | None:
        """The certificates, if they are others than before."""
        now = self._renewed.current()
        with self._lock:
            if now is self._given:
                return None
            self._given = now
            return now.server()


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """For a server that lets in whoever the folder's CA certified, and reads the folder again as it changes.

    Raises:
        ConfigurationError: See `load`.
    """
    renewed = Renewed(folder)
    first = renewed.current()
    news = _News(renewed, first).get
    return grpc.dynamic_ssl_server_credentials(first.server(), news, require_client_authentication=True)  # type: ignore[arg-type]


class Link:
    """A channel that is opened anew when its certificates are.

    Calls that run keep the old one. It is not closed, for that would end them; idle, it costs nothing to speak of, and
    a renewal comes once in months.
    """

    def __init__(self, folder: Path, open_channel: Callable[[grpc.ChannelCredentials], grpc.Channel]) -> None:
        self._renewed = Renewed(folder)
        self._open = open_channel
        self._lock = threading.Lock()
        self._used = self._renewed.current()
        self._channels = [open_channel(self._used.channel())]

    def channel(self) -> grpc.Channel:
        """The channel for the next call."""
        current = self._renewed.current()
        with self._lock:
            if current is not self._used:
                self._used = current
                self._channels.append(self._open(current.channel()))
            return self._channels[-1]


def require_loopback(address: str) -> None:
    """Plaintext stays on this machine.

    Raises:
        ConfigurationError: The address is another machine's, or every machine's.
    """
    if not is_loopback(address):
        raise ConfigurationError(f"--insecure is for loopback alone, got {address}; elsewhere give certificates")


def is_loopback(address: str) -> bool:
    """Whether only this machine can be at the address.

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


def _no_password() -> str:
    """A key with a passphrase would make OpenSSL ask for it at the terminal."""
    return ""
