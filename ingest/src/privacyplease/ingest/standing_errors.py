"""Errors of the proxy that last until somebody changes something, so that it does not help to try again."""

from __future__ import annotations

import threading

from privacyplease.client.errors import (
    ApprovalRequiredError,
    CertificateError,
    PrivacyPleaseError,
    RefusedError,
    RequestError,
)

__all__ = ["StandingErrors"]

# A proxy that ends during a handshake looks as if it did not accept the certificate; its restart takes a second or two.
_HANDSHAKES = 6


class StandingErrors:
    """Tells errors that stay from those that pass. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handshakes = 0

    def is_standing(self, error: PrivacyPleaseError) -> bool:
        """Whether the next attempt would fail in the same way.

        The request is wrong, the policy does not allow it, or the certificate is not accepted: at once if the proxy
        says so, and after several handshakes in a row that have failed. A restore that waits for its approval passes.
        """
        handshake = isinstance(error, CertificateError) and not error.reason
        with self._lock:
            self._handshakes = self._handshakes + 1 if handshake else 0
            if handshake:
                return self._handshakes >= _HANDSHAKES
        refused = isinstance(error, RefusedError) and not isinstance(error, ApprovalRequiredError)
        return refused or isinstance(error, RequestError | CertificateError)

    def succeeded(self) -> None:
        """An attempt has succeeded."""
        with self._lock:
            self._handshakes = 0
