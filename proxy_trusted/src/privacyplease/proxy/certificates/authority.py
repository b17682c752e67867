"""Certificate authorities and the certificates they issue (X.509, RFC 5280).

Each hop has its own authority: a client of the proxy is none of the storage server, and vice versa. Keys are ECDSA
P-256. A certificate is for one use, server or client, which the other end checks (extended key usage). Nothing here
reads a clock or a file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=90)

LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Clocks differ and are put back: a new certificate must be valid on a machine whose clock is an hour behind.
_SKEW = timedelta(hours=2)

_USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True)
class CertifiedKey:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, certificate: bytes, key: bytes) -> Self:
        """Reads the output of `certificate_pem` and `key_pem`.

        Raises:
            ValueError: The bytes are not a certificate and a key on an elliptic curve.
        """
        private = serialization.load_pem_private_key(key, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError("expected a key on an elliptic curve")
        return cls(x509.load_pem_x509_certificate(certificate), private)

    def certificate_pem(self) -> bytes:
        """The certificate as a PEM file."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The key as a PEM file: PKCS #8, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True)
class Subject:
    """The holder of a certificate.

    Attributes:
        name: The common name, for people to read.
        use: `server` or `client`.
        hosts: The names and addresses of a server.
        identity: The URI that identifies a client.
    """

    name: str
    use: str
    hosts: tuple[str, ...] = ()
    identity: str | None = None

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """The holder of a certificate that was issued here."""
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uses = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        use = next(use for use, oid in _USES.items() if oid in uses)
        return cls(common_name(certificate.subject), use, tuple(hosts), next(iter(uris), None))


def create(name: str, now: datetime) -> CertifiedKey:
    """A new authority, which may issue certificates but not certify further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    builder = _builder(name, key, now, now + AUTHORITY_LIFETIME).issuer_name(_name(name))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return CertifiedKey(builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)


def issue(authority: CertifiedKey, subject: Subject, now: datetime) -> CertifiedKey:
    """Issues a certificate for a holder, with a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(now + LIFETIME, authority.certificate.not_valid_after_utc)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(subject.name, key, now, end)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USES[subject.use]]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(subject)), critical=False)
        .add_extension(issuer, critical=False)
    )
    return CertifiedKey(builder.sign(authority.key, hashes.SHA256()), key)


def common_name(name: x509.Name) -> str:
    """The common name of a subject or issuer, or ""."""
    return next((str(part.value) for part in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


def _builder(name: str, key: ec.EllipticCurvePrivateKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _names(subject: Subject) -> Iterable[x509.GeneralName]:
    uris = [x509.UniformResourceIdentifier(subject.identity)] if subject.identity else []
    return [*map(_host, subject.hosts), *uris]


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
