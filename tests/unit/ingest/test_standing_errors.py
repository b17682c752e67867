from __future__ import annotations

import pytest

from privacyplease.client.errors import (
    ApprovalRequiredError,
    AuditUnavailableError,
    CertificateError,
    MalformedBatchError,
    PermissionDeniedError,
    PrivacyPleaseError,
    ProxyUnreachableError,
)
from privacyplease.ingest.standing_errors import StandingErrors


@pytest.mark.parametrize(
    ("error", "standing"),
    [
        (MalformedBatchError(""), True),
        (PermissionDeniedError(""), True),
        (CertificateError("revoked", reason="ERROR_REASON_UNKNOWN_IDENTITY"), True),
        (ProxyUnreachableError(""), False),
        (AuditUnavailableError(""), False),
        (ApprovalRequiredError("this home was restored"), False),
    ],
)
def test_what_somebody_has_to_change_stays(error: PrivacyPleaseError, standing: bool) -> None:
    errors = StandingErrors()
    for _ in range(10):
        assert errors.is_standing(error) is standing


def test_a_handshake_that_fails_again_and_again_stays_and_one_with_a_proxy_that_ends_does_not() -> None:
    errors, handshake = StandingErrors(), CertificateError("the proxy did not accept the certificate")
    for between in (lambda: errors.is_standing(ProxyUnreachableError("")), errors.succeeded):
        for _ in range(3):
            assert not errors.is_standing(handshake)
        between()
    assert [errors.is_standing(handshake) for _ in range(6)] == [False] * 5 + [True]
