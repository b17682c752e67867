"""Credentials follow their files, and files that cannot be used change nothing."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from privacyplease.proxy.certificates.folder import Certificates
from privacyplease.transport.credentials import ReloadingCredentials, load
from privacyplease.transport.reconnecting_channel import ReconnectingChannel


class UnusableError(Exception):
    """A zone's own exception."""


@pytest.fixture
def issued(tmp_path: Path) -> Certificates:
    certificates = Certificates(tmp_path / "certificates")
    certificates.prepare(datetime.now(UTC))
    return certificates


def test_a_half_finished_renewal_leaves_the_previous_credentials_in_force(
    issued: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    reloading = ReloadingCredentials(issued.path / "proxy", UnusableError)
    before = reloading.current()
    key, certificate = (issued.path / "proxy" / name for name in ("tls.key", "tls.crt"))
    old_certificate = certificate.read_bytes()
    issued.renew("proxy", datetime.now(UTC))
    new_certificate = certificate.read_bytes()
    certificate.write_bytes(old_certificate)
    with caplog.at_level(logging.WARNING):
        assert reloading.current() is reloading.current() is before
    assert len(caplog.records) == 1
    certificate.write_bytes(new_certificate)
    assert reloading.current().key == key.read_bytes() != before.key


def test_credentials_do_not_show_their_key(issued: Certificates) -> None:
    assert "PRIVATE" not in repr(load(issued.path / "proxy", UnusableError))


def test_a_missing_file_raises_the_error_of_the_zone(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"expected tls\.crt, tls\.key and ca\.crt"):
        load(tmp_path, UnusableError)


def test_a_key_of_another_certificate_raises_the_error_of_the_zone(issued: Certificates) -> None:
    (issued.path / "proxy" / "tls.key").write_bytes((issued.path / "storage" / "tls.key").read_bytes())
    with pytest.raises(UnusableError, match="the certificates cannot be used"):
        load(issued.path / "proxy", UnusableError)


def test_a_channel_is_opened_again_only_when_its_certificate_changes(issued: Certificates) -> None:
    opened: list[grpc.ChannelCredentials | None] = []

    def open_channel(credentials: grpc.ChannelCredentials | None) -> int:
        opened.append(credentials)
        return len(opened)

    channel = ReconnectingChannel(issued.path / "clients/operator", open_channel, UnusableError)
    assert [channel.current(), channel.current()] == [1, 1]
    issued.renew("operator", datetime.now(UTC))
    assert [channel.current(), channel.current()] == [2, 2]
    assert channel.opened() == [1, 2]


def test_a_plaintext_channel_is_opened_once() -> None:
    channel = ReconnectingChannel(None, lambda credentials: [credentials], UnusableError)
    assert channel.current() is channel.current()
    assert channel.opened() == [[None]]
