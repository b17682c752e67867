"""Certificates: content, lifetime, renewal, and the folder that holds them."""

import json
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from privacyplease.proxy.certificates import __main__ as certs
from privacyplease.proxy.certificates import authority
from privacyplease.proxy.certificates.authority import Subject
from privacyplease.proxy.certificates.folder import Certificates
from privacyplease.proxy.edge import identity
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.transport.credentials import load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = {
    "authorities/clients",
    "authorities/storage",
    "clients/operator",
    "proxy",
    "proxy-to-storage",
    "storage",
}


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    folder = Certificates(tmp_path / "certificates")
    folder.prepare(NOW)
    return folder


def _certificate(made: Certificates, name: str) -> x509.Certificate:
    return next(entry.certificate for entry in made.entries() if entry.name == name)


def test_an_installation_has_a_ca_for_each_hop(made: Certificates) -> None:
    assert {entry.name for entry in made.entries()} == NAMES
    for hop, names in {"clients": ("proxy", "clients/operator"), "storage": ("storage", "proxy-to-storage")}.items():
        for name in names:
            _certificate(made, name).verify_directly_issued_by(_certificate(made, f"authorities/{hop}"))


def test_a_certificate_is_for_one_use(made: Certificates) -> None:
    uses = {"proxy": "server", "storage": "server", "clients/operator": "client", "proxy-to-storage": "client"}
    oids = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
    for name, use in uses.items():
        extensions = _certificate(made, name).extensions
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [oids[use]]
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert extensions.get_extension_for_class(x509.KeyUsage).critical


def test_a_ca_cannot_certify_another_ca(made: Certificates) -> None:
    constraints = _certificate(made, "authorities/clients").extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_a_certificate_names_its_holder(made: Certificates) -> None:
    assert Subject.of(_certificate(made, "clients/operator")).identity == "privacyplease://client/operator"
    assert Subject.of(_certificate(made, "proxy-to-storage")).identity == identity.PROXY
    assert Subject.of(_certificate(made, "proxy")).hosts == authority.LOOPBACK
    assert isinstance(_certificate(made, "proxy").public_key(), ec.EllipticCurvePublicKey)


def test_a_certificate_outlives_neither_its_lifetime_nor_its_ca() -> None:
    ca = authority.create("a CA", NOW)
    late = NOW + timedelta(days=3600)
    assert authority.issue(ca, Subject("a", "client"), NOW).certificate.not_valid_after_utc == NOW + timedelta(days=90)
    ends = authority.issue(ca, Subject("a", "client"), late).certificate.not_valid_after_utc
    assert ends == ca.certificate.not_valid_after_utc


def test_files_are_readable_only_by_their_owner(made: Certificates) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in made.path.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (made.path, *made.path.rglob("*")) if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_preparing_again_creates_only_what_is_missing(made: Certificates) -> None:
    before = {path: path.read_bytes() for path in made.path.rglob("*.*") if path.is_file()}
    assert made.prepare(NOW) == []
    for file in (made.path / "storage").iterdir():
        file.unlink()
    (made.path / "storage").rmdir()
    assert made.prepare(NOW) == ["storage"]
    after = {path: path.read_bytes() for path in before if path.parent.name != "storage"}
    assert all(before[path] == text for path, text in after.items())


def test_a_ca_whose_key_is_elsewhere_is_not_replaced(made: Certificates) -> None:
    (made.path / "authorities" / "clients" / "ca.key").unlink()
    (made.path / "authorities" / "clients" / "ca.crt").unlink()
    with pytest.raises(ConfigurationError, match="CA's key is not here"):
        made.issue("alice", NOW)
    assert made.prepare(NOW) == []
    assert made.due(NOW + timedelta(days=80)) == ["proxy-to-storage", "storage"]


def test_an_existing_certificate_is_not_overwritten(made: Certificates) -> None:
    assert made.issue("alice", NOW) == "clients/alice"
    before = (made.path / "clients" / "alice" / "tls.key").read_bytes()
    with pytest.raises(ConfigurationError, match="not overwritten"):
        made.issue("alice", NOW)
    assert (made.path / "clients" / "alice" / "tls.key").read_bytes() == before


@pytest.mark.parametrize("name", ["", "..", "../proxy", "a/b", "Alice", "a b", "-a", "a" * 64, "é"])
def test_a_name_cannot_lead_out_of_the_folder(name: str, made: Certificates) -> None:
    with pytest.raises(ConfigurationError, match="expected a name"):
        made.issue(name, NOW)


def test_a_renewal_changes_only_key_and_dates(made: Certificates) -> None:
    later = NOW + timedelta(days=80)
    for name in ("proxy", "operator"):
        full = made.renew(name, NOW)
        before = _certificate(made, full)
        made.renew(name, later)
        after = _certificate(made, full)
        assert Subject.of(after) == Subject.of(before)
        assert after.public_key() != before.public_key()
        assert after.not_valid_after_utc == later + authority.LIFETIME
        load(made.path / full, ConfigurationError)


def test_a_renewal_may_name_other_hosts(made: Certificates) -> None:
    made.renew("proxy", NOW, ["proxy.example.org", "10.0.0.5"])
    assert set(Subject.of(_certificate(made, "proxy")).hosts) == {*authority.LOOPBACK, "proxy.example.org", "10.0.0.5"}


def test_certificates_are_due_30_days_before_they_expire(made: Certificates) -> None:
    assert made.due(NOW + timedelta(days=59)) == []
    assert set(made.due(NOW + timedelta(days=61))) == {name for name in NAMES if not name.startswith("authorities")}


def test_a_missing_certificate_cannot_be_renewed(made: Certificates) -> None:
    with pytest.raises(ConfigurationError, match="expected one of clients/operator"):
        made.renew("bob", NOW)


def test_openssl_accepts_the_certificates(made: Certificates) -> None:
    for name in ("proxy", "storage", "clients/operator", "proxy-to-storage"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(made.path / name / "tls.crt", made.path / name / "tls.key")
        context.load_verify_locations(made.path / name / "ca.crt")


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path / "certificates")]
    assert certs.main([*folder, "init", "--host", "proxy.example.org"]) == 0
    assert certs.main([*folder, "init"]) == 2
    assert "error: " in capsys.readouterr().err
    assert certs.main([*folder, "issue", "alice"]) == 0
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["certificates"]
    assert (row["name"], row["identity"]) == ("clients/alice", "privacyplease://client/alice")
    assert (row["use"], row["issuer"], row["days_left"], row["state"]) == (
        "client",
        "privacyplease clients",
        89,
        "valid",
    )
    assert certs.main([*folder, "show"]) == 0
    rows = json.loads(capsys.readouterr().out)["certificates"]
    assert {row["name"] for row in rows} == NAMES | {"clients/alice"}
    assert certs.main([*folder, "renew", "--due"]) == 0
    assert json.loads(capsys.readouterr().out)["certificates"] == []
    assert certs.main([*folder, "prepare"]) == 0
    assert json.loads(capsys.readouterr().out) == {"made": [], "renewed": []}


def test_the_private_key_of_a_ca_is_not_in_its_repr() -> None:
    assert "key" not in repr(authority.create("a CA", NOW))
