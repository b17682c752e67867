"""TLS credentials of a process: a folder of three files, read again when they change.

::

    folder/
    ├── tls.crt     this process's certificate
    ├── tls.key     its private key
    └── ca.crt      the CA of the other end

The names are those that Kubernetes and cert-manager use. Both ends of a connection present a certificate (mutual TLS).
TLS is gRPC's own and the files are checked by Python's `ssl`, so no cryptography library is needed.
"""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

import grpc

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """The contents of the three files, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes

    def server(self) -> grpc.ServerCertificateConfiguration:
        """For gRPC's server side."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.authority)

    def channel(self) -> grpc.ChannelCredentials:
        """For gRPC's client side."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def load(folder: Path, error: type[Exception]) -> Credentials:
    """Reads a folder.

    Raises:
        Exception: `error`; a file is missing or not in PEM, or the key does not match the certificate.
    """
    try:
        certificate, key, authority = ((folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY))
        check = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        check.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=_no_password)
        check.load_verify_locations(folder / AUTHORITY)
    except ssl.SSLError as cause:
        raise error(f"{folder}: the certificates cannot be used: {cause.reason or cause}") from cause
    except OSError as cause:
        raise error(f"{folder}: expected {CERTIFICATE}, {KEY} and {AUTHORITY}: {cause}") from cause
    return Credentials(certificate, key, authority)


class ReloadingCredentials:
    """A folder's credentials, always those of its current files. Safe to use from many threads.

    Files that cannot be used, as halfway through a renewal, leave the previous credentials in force.
    """

    def __init__(self, folder: Path, error: type[Exception]) -> None:
        """Reads the folder; raises as `load`."""
        self._folder = folder
        self._error = error
        self._lock = threading.Lock()
        self._loaded = self._rejected = self._stamps()
        self._credentials = load(folder, error)

    def current(self) -> Credentials:
        """The credentials, read again if a file has changed; otherwise the same object as before."""
        with self._lock:
            stamps = self._stamps()
            if stamps and stamps != self._loaded:
                self._reload(stamps)
            return self._credentials

    def _reload(self, stamps: tuple[int, ...]) -> None:
        try:
            fresh = load(self._folder, self._error)
        except self._error as error:
            if stamps != self._rejected:  # once, not with every call that is made meanwhile
                _log.warning("%s; the previous certificates stay in force", error)
                self._rejected = stamps
            return
        if stamps == self._stamps():  # otherwise a file changed while it was read: next time
            self._credentials, self._loaded = fresh, stamps
            _log.info("reloaded the certificates in %s", self._folder)

    def _stamps(self) -> tuple[int, ...]:
        """Changes when a file does; empty while one is missing."""
        try:
            files = [(self._folder / name).stat() for name in (CERTIFICATE, KEY, AUTHORITY)]
        except OSError:
            return ()
        return tuple(number for file in files for number in (file.st_mtime_ns, file.st_ino, file.st_size))


class _ConfigurationFetcher:
    """What gRPC asks for a certificate configuration before each handshake; None says that nothing has changed.

    None matters. When gRPC is given a configuration it frees the previous one, which other handshakes may still be
    using, and crashes (grpc/grpc#36693). Handing one over before each handshake let a few simultaneous connections do
    that; now it can happen only at the moment of a renewal.
    """

    def __init__(self, reloading: ReloadingCredentials, handed_over: Credentials) -> None:
        self._reloading = reloading
        self._handed_over = handed_over
        self._lock = threading.Lock()

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The configuration, if it differs from the one that gRPC has."""
        current = self._reloading.current()
        with self._lock:
            if current is self._handed_over:
                return None
            self._handed_over = current
            return current.server()


def server_credentials(folder: Path, error: type[Exception]) -> grpc.ServerCredentials:
    """For a server that accepts only clients certified by the folder's CA, and reloads the folder when it changes.

    Raises:
        Exception: `error`, as `load`.
    """
    reloading = ReloadingCredentials(folder, error)
    first = reloading.current()
    fetch = _ConfigurationFetcher(reloading, first).fetch
    return grpc.dynamic_ssl_server_credentials(first.server(), fetch, require_client_authentication=True)  # type: ignore[arg-type]


def _no_password() -> str:
    """Without it, OpenSSL would ask at the terminal for the passphrase of an encrypted key."""
    return ""
