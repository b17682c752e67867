"""For how long an ingest that lost its proxy tries again."""

from collections.abc import Iterator

import grpc

from privacyplease.client._internal.statuses import error_of
from privacyplease.client.errors import DeadlineExceededError, FaultError

_FIRST_S = 0.1
_LONGEST_S = 5.0
_TOTAL_S = 60.0

# What a stream ends with when the proxy is stopped, restarted or not there.
_LOST = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class Patience:
    """Waits longer from attempt to attempt and gives up after a minute in which nothing was acknowledged."""

    def __init__(self) -> None:
        self._delays = _delays()

    def progress(self) -> None:
        """Something was acknowledged: all is well again."""
        self._delays = _delays()

    def delay_after(self, failure: grpc.RpcError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            PrivacyPleaseError: No further attempt is due; the error says why the last one failed.
        """
        delay = next(self._delays, None) if _is_lost(failure) else None
        if delay is None:
            raise error_of(failure) from failure
        return delay


def stalled(stall_s: float) -> DeadlineExceededError:
    """The error for a stream that acknowledges nothing though it should."""
    return DeadlineExceededError(f"expected an acknowledgement within {stall_s:g} s, got none")


def ended_early() -> FaultError:
    """The error for a stream that ends without failure before all is acknowledged."""
    return FaultError("expected an acknowledgement of every batch, got the end of the stream")


def _is_lost(failure: grpc.RpcError) -> bool:
    return getattr(failure, "code", lambda: None)() in _LOST


def _delays() -> Iterator[float]:
    delay, total = _FIRST_S, 0.0
    while total < _TOTAL_S:
        yield delay
        total += delay
        delay = min(2 * delay, _LONGEST_S)
