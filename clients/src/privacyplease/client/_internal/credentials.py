"""A client's certificate: a folder of three files, read again when they change.

folder/
├── tls.crt     the client's certificate
├── tls.key     its private key
└── ca.crt      the CA that certified the proxy
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
from pathlib import Path

import grpc

from privacyplease.client.errors import CertificateError

_FILES = ("tls.crt", "tls.key", "ca.crt")


def load(folder: Path) -> grpc.ChannelCredentials:
    """Reads a folder.

    Raises:
        CertificateError: A file is missing or is none of its kind, or the key is not that of the certificate.
    """
    try:
        certificate, key, authority = ((folder / name).read_bytes() for name in _FILES)
        check = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        check.load_cert_chain(folder / "tls.crt", folder / "tls.key", password=_no_password)
        check.load_verify_locations(folder / "ca.crt")
    except ssl.SSLError as error:
        raise CertificateError(f"{folder}: the certificate cannot be used: {error.reason or error}") from error
    except OSError as error:
        raise CertificateError(f"{folder}: expected {', '.join(_FILES)}: {error.strerror or error}") from error
    return grpc.ssl_channel_credentials(authority, key, certificate)


class Renewed:
    """The credentials in a folder, as they are now. Safe to use from many threads.

    Files that cannot be used, as between the two steps of a renewal, leave those in force that were.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._now = load(folder)

    def current(self) -> grpc.ChannelCredentials:
        """Reads the files if they changed. The same object as before if nothing did."""
        with self._lock:
            stamps = self._stamps()
            if stamps and stamps != self._seen:
                self._reload(stamps)
            return self._now

    def _reload(self, stamps: tuple[int, ...]) -> None:
        try:
            fresh = load(self._folder)
        except CertificateError:
            return
        if stamps == self._stamps():  # else they changed under our hands: next time
            self._now, self._seen = fresh, stamps

    def _stamps(self) -> tuple[int, ...]:
        """Changes when a file does; empty while one is missing."""
        try:
            files = [(self._folder / name).stat() for name in _FILES]
        except OSError:
            return ()
        return tuple(number for file in files for number in (file.st_mtime_ns, file.st_ino, file.st_size))


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
