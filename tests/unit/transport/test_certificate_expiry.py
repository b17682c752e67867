"""How long certificates are still valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from privacyplease.proxy.certificates import authority
from privacyplease.transport.certificate_expiry import days_left

NOW = datetime(2024, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize("lifetime", [timedelta(days=90), timedelta(days=3_650), timedelta(days=36_500)])
def test_days_left_are_those_of_the_certificate(
    lifetime: timedelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "AUTHORITY_LIFETIME", lifetime)
    file = tmp_path / "ca.crt"
    file.write_bytes(authority.create("a CA", NOW).certificate_pem())
    assert days_left(file, NOW.timestamp()) == pytest.approx(lifetime.days, abs=0.1)
    assert days_left(file, (NOW + lifetime + timedelta(days=2)).timestamp()) == pytest.approx(-2, abs=0.1)


def test_the_first_of_several_to_expire_counts(tmp_path: Path) -> None:
    made = [authority.create("a CA", NOW - timedelta(days=days)).certificate_pem() for days in (0, 3_000)]
    file = tmp_path / "ca.crt"
    file.write_bytes(b"".join(made))
    assert days_left(file, NOW.timestamp()) == pytest.approx(650, abs=0.1)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"])
def test_what_cannot_be_read_has_no_days_left(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tls.crt"
    file.write_bytes(content)
    assert days_left(file, NOW.timestamp()) == 0
