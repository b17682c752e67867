"""How long an ingest that lost its proxy keeps trying."""

from collections.abc import Callable
from itertools import accumulate, takewhile
from typing import TypeAlias

from privacyplease.client.errors import (
    CertificateError,
    DeadlineExceededError,
    FaultError,
    PrivacyPleaseError,
    StreamIdleError,
    TryAgainError,
)

Retry: TypeAlias = Callable[[PrivacyPleaseError, int], float | None]
"""Maps an error, and how many preceded it since the last acknowledgement, to seconds to wait; None: give up."""

_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 5.0
_TOTAL_S = 60.0
_CERTIFICATE_ATTEMPTS = 5


def _delay(failures: int) -> float:
    return min(_FIRST_DELAY_S * 2.0 ** min(failures, 10), _MAX_DELAY_S)


_ATTEMPTS = sum(1 for _ in takewhile(lambda waited: waited < _TOTAL_S, accumulate(map(_delay, range(1_000)))))


def for_a_minute(error: PrivacyPleaseError, failures: int) -> float | None:
    """Backs off exponentially, and gives up after a minute without an acknowledgement."""
    # A stream that hangs has already used up its time.
    retryable = isinstance(error, TryAgainError) and not isinstance(error, DeadlineExceededError)
    # A proxy that is killed during the handshake looks like one that rejects the certificate, but not for long.
    retryable = retryable or (isinstance(error, CertificateError) and failures < _CERTIFICATE_ATTEMPTS)
    return _delay(failures) if retryable and failures < _ATTEMPTS else None


class RetryPolicy:
    """Counts consecutive failures, and decides by `retry` what to do about each."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failures = 0

    def reset(self) -> None:
        """Starts counting anew, after an acknowledgement."""
        self._failures = 0

    def delay_after(self, error: PrivacyPleaseError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            PrivacyPleaseError: `error` itself, if no further attempt is due.
        """
        if isinstance(error, StreamIdleError):
            return _FIRST_DELAY_S  # nothing failed: the source is slow
        delay = self._retry(error, self._failures)
        if delay is None:
            raise error
        self._failures += 1
        return max(delay, error.retry_after_s or 0.0)


def stalled(stall_s: float) -> DeadlineExceededError:
    """The error for a stream that owes an acknowledgement and sends none."""
    return DeadlineExceededError(f"expected an acknowledgement within {stall_s:g} s, got none")


def ended_early() -> FaultError:
    """The error for a stream that ends without a failure before everything is acknowledged."""
    return FaultError("expected an acknowledgement of every batch, got the end of the stream")
