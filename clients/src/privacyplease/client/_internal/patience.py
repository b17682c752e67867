"""For how long an ingest that lost its proxy tries again."""

from collections.abc import Callable
from itertools import accumulate, takewhile
from typing import TypeAlias

import grpc

from privacyplease.client._internal.statuses import error_of
from privacyplease.client.errors import (
    CertificateError,
    DeadlineExceededError,
    FaultError,
    PrivacyPleaseError,
    StreamIdleError,
    TryAgainError,
)

Retry: TypeAlias = Callable[[PrivacyPleaseError, int], float | None]
"""From an error, and how many came before it since the last acknowledgement, to seconds to wait; None: give up."""

_FIRST_S = 0.1
_LONGEST_S = 5.0
_TOTAL_S = 60.0
_DOUBTS = 5


def _delay(failures: int) -> float:
    return min(_FIRST_S * 2.0 ** min(failures, 10), _LONGEST_S)


_ATTEMPTS = sum(1 for _ in takewhile(lambda waited: waited < _TOTAL_S, accumulate(map(_delay, range(1_000)))))


def for_a_minute(error: PrivacyPleaseError, failures: int) -> float | None:
    """Waits longer from attempt to attempt and gives up after a minute in which nothing was acknowledged."""
    # A stream that hangs has had its time already.
    lost = isinstance(error, TryAgainError) and not isinstance(error, DeadlineExceededError)
    # A proxy that is killed while we connect looks like one that does not accept the certificate, but not for long.
    lost = lost or (isinstance(error, CertificateError) and failures < _DOUBTS)
    return _delay(failures) if lost and failures < _ATTEMPTS else None


class Patience:
    """Counts failures in a row and asks what to do about each."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._failures = 0

    def progress(self) -> None:
        """Something was acknowledged: all is well again."""
        self._failures = 0

    def delay_after(self, failure: grpc.RpcError | PrivacyPleaseError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            PrivacyPleaseError: No further attempt is due; the error says why the last one failed.
        """
        error = failure if isinstance(failure, PrivacyPleaseError) else error_of(failure)
        if isinstance(error, StreamIdleError):
            return _FIRST_S  # nothing failed: the source is slow
        delay = self._retry(error, self._failures)
        if delay is None:
            raise error from failure
        self._failures += 1
        return max(delay, error.retry_after_s or 0.0)


def stalled(stall_s: float) -> DeadlineExceededError:
    """The error for a stream that acknowledges nothing though it should."""
    return DeadlineExceededError(f"expected an acknowledgement within {stall_s:g} s, got none")


def ended_early() -> FaultError:
    """The error for a stream that ends without failure before all is acknowledged."""
    return FaultError("expected an acknowledgement of every batch, got the end of the stream")
