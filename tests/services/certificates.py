"""Certificates of an installation, and those that must not be let in.

Example:
    made = Made(folder)
    with StorageProcess(url, certificates=made.storage) as storage:
        ...
    made.client("mallory", days_ago=200)      # expired
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from privacyplease.proxy.certificates import authority
from privacyplease.proxy.certificates.authority import CertifiedKey, Subject
from privacyplease.proxy.certificates.folder import Certificates
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.transport.credentials import load


class Made:
    """An installation's certificates in `folder`, and what else its CAs, or others, certify."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = Certificates(folder / "certificates")
        self.certificates.prepare(datetime.now(UTC))

    def __getitem__(self, name: str) -> Path:
        """The folder of a certificate, as `clients/operator`."""
        return self.certificates.path / name

    def forged(self, name: str, subject: Subject, *, hop: str, days_ago: int = 0, other_ca: bool = False) -> Path:
        """A certificate that `certs issue` would not make; it trusts the hop's CA, whoever issued it.

        Args:
            name: of the folder.
            subject: what it says.
            hop: `clients` or `storage`.
            days_ago: when it was made.
            other_ca: whether another CA, which has the same name, issued it.
        """
        genuine = self.ca(hop)
        signer = authority.create(authority.common_name(genuine.certificate.subject), _ago(0)) if other_ca else genuine
        issued = authority.issue(signer, subject, _ago(days_ago))
        folder = self.folder / name
        folder.mkdir()
        (folder / "tls.crt").write_bytes(issued.certificate_pem())
        (folder / "tls.key").write_bytes(issued.key_pem())
        (folder / "ca.crt").write_bytes(genuine.certificate_pem())
        return folder

    def ca(self, hop: str) -> CertifiedKey:
        """A hop's CA."""
        folder = self["authorities"] / hop
        return CertifiedKey.from_pem((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())

    def anonymous(self, hop: str) -> grpc.ChannelCredentials:
        """TLS without a certificate of one's own."""
        return grpc.ssl_channel_credentials(self.ca(hop).certificate_pem())


def channel_with(address: str, folder: Path) -> grpc.Channel:
    """A channel that shows the certificate in a folder."""
    return grpc.secure_channel(address, load(folder, ConfigurationError).channel())


def _ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
