"""Certificates as this server uses them: a folder of three files, read again when they change.

    folder/
    ├── tls.crt     this server's certificate
    ├── tls.key     its private key
    └── ca.crt      the CA that certified the proxy

TLS is gRPC's own, and the files are checked by Python's: no cryptography library is needed, and the key opens no cell.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
import threading
from pathlib import Path

import grpc

from privacyplease.server.errors import StartError

_FILES = ("tls.crt", "tls.key", "ca.crt")

_log = logging.getLogger(__name__)


def load(folder: Path) -> grpc.ServerCertificateConfiguration:
    """Reads a folder.

    Raises:
        StartError: a file is missing or is none of its kind, or the key is not that of the certificate.
    """
    try:
        certificate, key, authority = ((folder / name).read_bytes() for name in _FILES)
        check = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        check.load_cert_chain(folder / "tls.crt", folder / "tls.key", password=_no_password)
        check.load_verify_locations(folder / "ca.crt")
    except ssl.SSLError as error:
        raise StartError(f"{folder}: the certificates cannot be used: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"{folder}: expected {', '.join(_FILES)}: {error}") from error
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)


class Renewed:
    """The certificates in a folder, as they are now. Safe to use from many threads.

    Files that cannot be used, as between the two steps of a renewal, leave those in force that were.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._now = load(folder)

    def current(self) -> grpc.ServerCertificateConfiguration:
        """Reads the files if they changed."""
        with self._lock:
            stamps = self._stamps()
            if stamps and stamps != self._seen:
                self._reload(stamps)
            return self._now

    def _reload(self, stamps: tuple[int, ...]) -> None:
        try:
            fresh = load(self._folder)
        except StartError as error:
            _log.warning("%s; those read before stay in force", error)
            return
        if stamps == self._stamps():  # else they changed under our hands: next time
            self._now, self._seen = fresh, stamps
            _log.info("certificates read again")

    def _stamps(self) -> tuple[int, ...]:
        """Changes when a file does; empty while one is missing."""
        try:
            files = [(self._folder / name).stat() for name in _FILES]
        except OSError:
            return ()
        return tuple(number for file in files for number in (file.st_mtime_ns, file.st_ino, file.st_size))


class _News:
    """What gRPC asks before each handshake: new certificates, or None.

    None matters. Given certificates, gRPC frees the ones before while other handshakes may still use them, and crashes
    (grpc/grpc#36693): a few strangers who connect at once were enough. Now it can happen only as they are renewed.
    """

    def __init__(self, renewed: Renewed, given: grpc.ServerCertificateConfiguration) -> None:
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
            return now


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """Lets in whoever the folder's CA certified, and reads the folder again as it changes.

    Raises:
        StartError: see `load`.
    """
    renewed = Renewed(folder)
    first = renewed.current()
    news = _News(renewed, first).get
    return grpc.dynamic_ssl_server_credentials(first, news, require_client_authentication=True)  # type: ignore[arg-type]


def is_loopback(address: str) -> bool:
    """Whether only this machine can be at the address.

    >>> [is_loopback(address) for address in ("127.0.0.1:0", "[::1]:7070", "localhost:1")]
    [True, True, True]
    >>> [is_loopback(address) for address in ("0.0.0.0:0", "[::]:7070", "server.example.org:1", ":7070")]
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
