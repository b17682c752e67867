"""The folder of an installation's certificates.

::

    folder/
    ├── authorities/
    │   ├── clients/        the CA between clients and proxy: ca.crt, ca.key
    │   └── storage/        the CA between proxy and storage server
    ├── clients/
    │   ├── operator/       for the command line of the user who started the servers
    │   └── NAME/           for every other client: `privacyplease certs issue NAME`
    ├── proxy/              what the proxy shows to clients
    ├── proxy-to-storage/   what the proxy shows to the storage server
    └── storage/            the storage server

Each folder with a `tls.crt` holds all that one process needs (`transport.credentials`), and is all that is copied to
its machine. Files are readable only by their owner. A folder is created atomically and never overwritten. A renewal
replaces key and certificate in two atomic steps; between them the pair does not match, and no process loads it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from privacyplease.proxy.certificates import authority
from privacyplease.proxy.certificates.authority import LOOPBACK, CertifiedKey, Subject
from privacyplease.proxy.edge import identity
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.transport.credentials import AUTHORITY, CERTIFICATE, KEY

CLIENTS, STORAGE = "clients", "storage"
OPERATOR = "operator"
RENEW_BEFORE = timedelta(days=30)

_AUTHORITY_KEY = "ca.key"
_PROCESSES = ("proxy", "proxy-to-storage", "storage")
_HOPS = {CLIENTS: "privacyplease clients", STORAGE: "privacyplease storage"}


@dataclass(frozen=True)
class CertificateEntry:
    """A certificate in the folder.

    Attributes:
        name: Its path in the folder, as `clients/alice`.
        certificate: The certificate itself.
    """

    name: str
    certificate: x509.Certificate

    @property
    def is_authority(self) -> bool:
        """Whether it is a CA's certificate."""
        return self.name.startswith("authorities/")

    def due(self, now: datetime) -> bool:
        """Whether it is time to renew it."""
        return self.certificate.not_valid_after_utc - now < RENEW_BEFORE


@dataclass(frozen=True)
class Certificates:
    """The certificates in the folder at `path`."""

    path: Path

    def prepare(self, now: datetime, hosts: Iterable[str] = ()) -> list[str]:
        """Creates what an installation needs and lacks: a CA for each hop, and certificates for both its ends.

        Args:
            now: The current time.
            hosts: Names and addresses of the servers, besides this machine's loopback.

        Returns:
            The names of the created certificates.

        Raises:
            ConfigurationError: The key of a required CA is not in the folder.
        """
        created = [self._make_authority(hop, now) for hop in _HOPS if not self._of_hop(hop)]
        missing = [(name, subject) for name, subject in _installation(tuple(hosts)).items() if not self._holds(name)]
        return created + [self._make(name, subject, now) for name, subject in missing]

    def issue(self, client: str, now: datetime) -> str:
        """Issues a client's certificate, and returns its name in the folder.

        Raises:
            ConfigurationError: The name is invalid or taken, or the CA's key is not in the folder.
        """
        return self._make(f"clients/{client}", _client(client), now)

    def renew(self, name: str, now: datetime, hosts: Iterable[str] = ()) -> str:
        """Replaces a certificate by one with a new key and new dates, and otherwise the same content.

        Args:
            name: `proxy`, `proxy-to-storage`, `storage`, `clients/NAME`, or just a client's name.
            now: The current time.
            hosts: For servers: names and addresses that replace the previous ones, besides loopback.

        Raises:
            ConfigurationError: There is no such certificate, or its CA's key is not in the folder.
        """
        entry, new_hosts = self._find(name), tuple(hosts)
        subject = Subject.of(entry.certificate)
        if new_hosts and subject.use == "server":
            subject = replace(subject, hosts=(*LOOPBACK, *new_hosts))
        signer = self._authority(_hop(entry.name))
        for file, text in _files(authority.issue(signer, subject, now), signer).items():
            _replace(self.path / entry.name / file, text)
        return entry.name

    def entries(self) -> Iterator[CertificateEntry]:
        """All certificates, authorities first."""
        folders = sorted(self.path.glob("authorities/*")) + sorted(self.path.glob("clients/*"))
        for folder in (*folders, *(self.path / name for name in _PROCESSES)):
            name = folder.relative_to(self.path).as_posix()
            file = folder / (AUTHORITY if name.startswith("authorities/") else CERTIFICATE)
            if file.exists():
                yield CertificateEntry(name, _read(file))

    def due(self, now: datetime) -> list[str]:
        """The names of certificates that are due and can be renewed here.

        CAs are never among them: a new CA must first be distributed to every process that trusts the old one.
        """
        return [entry.name for entry in self.entries() if entry.due(now) and self._may_renew(entry)]

    def _may_renew(self, entry: CertificateEntry) -> bool:
        return not entry.is_authority and (self.path / "authorities" / _hop(entry.name) / _AUTHORITY_KEY).exists()

    def _holds(self, name: str) -> bool:
        return any(entry.name == name for entry in self.entries())

    def _of_hop(self, hop: str) -> list[CertificateEntry]:
        """The hop's certificates.

        If there are any, the hop has a CA, even if its key is elsewhere; a second CA would not trust them.
        """
        return [entry for entry in self.entries() if _hop(entry.name) == hop]

    def _find(self, name: str) -> CertificateEntry:
        entries = {entry.name: entry for entry in self.entries() if not entry.is_authority}
        if entry := entries.get(name) or entries.get(f"clients/{name}"):
            return entry
        raise ConfigurationError(f"{self.path}: expected one of {', '.join(entries) or 'none'}; got {name}")

    def _make_authority(self, hop: str, now: datetime) -> str:
        name, ca = f"authorities/{hop}", authority.create(_HOPS[hop], now)
        _write_folder(self.path / name, {AUTHORITY: ca.certificate_pem(), _AUTHORITY_KEY: ca.key_pem()})
        return name

    def _make(self, name: str, subject: Subject, now: datetime) -> str:
        signer = self._authority(_hop(name))
        _write_folder(self.path / name, _files(authority.issue(signer, subject, now), signer))
        return name

    def _authority(self, hop: str) -> CertifiedKey:
        folder = self.path / "authorities" / hop
        try:
            return CertifiedKey.from_pem((folder / AUTHORITY).read_bytes(), (folder / _AUTHORITY_KEY).read_bytes())
        except FileNotFoundError as error:
            raise ConfigurationError(f"{folder}: the CA's key is not here; `certs init` creates one") from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{folder}: the CA cannot be read: {error}") from error


def _hop(name: str) -> str:
    """The hop that a certificate is for."""
    path = name.removeprefix("authorities/")
    return CLIENTS if path == "proxy" or path.split("/")[0] == CLIENTS else STORAGE


def _installation(hosts: tuple[str, ...]) -> dict[str, Subject]:
    """The certificates that every installation needs, besides its CAs."""
    return {
        "proxy": Subject("proxy", "server", hosts=(*LOOPBACK, *hosts)),
        f"clients/{OPERATOR}": _client(OPERATOR),
        "storage": Subject("storage", "server", hosts=(*LOOPBACK, *hosts)),
        "proxy-to-storage": Subject("proxy", "client", identity=identity.PROXY),
    }


def _client(name: str) -> Subject:
    try:
        return Subject(name, "client", identity=identity.client_uri(name))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _files(issued: CertifiedKey, signer: CertifiedKey) -> Mapping[str, bytes]:
    """The files to write, the key first: until the certificate follows, the two do not match and are not loaded."""
    return {KEY: issued.key_pem(), AUTHORITY: signer.certificate_pem(), CERTIFICATE: issued.certificate_pem()}


def _read(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: expected a certificate in PEM: {error}") from error


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Creates a folder atomically, and never over another."""
    for ancestor in (folder.parent.parent, folder.parent):  # `parents=True` alone would make them readable by all users
        ancestor.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        complete = Path(scratch) / folder.name
        complete.mkdir(mode=0o700)
        for name, text in files.items():
            _replace(complete / name, text)
        try:
            complete.rename(folder)
        except OSError as error:
            raise ConfigurationError(f"{folder}: exists already and is not overwritten; renew it instead") from error
    _sync(folder.parent)


def _replace(file: Path, text: bytes) -> None:
    """Replaces a file atomically; on return it survives a loss of power."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".new-", delete=False) as part:  # made with mode 0600
        part.write(text)
        part.flush()
        os.fsync(part.fileno())
    Path(part.name).replace(file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
