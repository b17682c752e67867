"""How an error leaves the proxy: as one gRPC status with a reason and no internal detail.

Every rpc of every service runs inside `answering` or `streaming`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from functools import wraps
from typing import NoReturn, TypeVar

import grpc
from google.rpc import status_pb2

from privacyplease.proxy.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    OverloadedError,
    ProxyError,
    RateLimitedError,
    StoppingError,
    TrustedStoreUnavailableError,
)
from privacyplease.proxy.trusted_store.disk_reserve import DISK_FULL, is_full
from privacyplease.proxy.trusted_store.store import is_unavailable
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.transport.log_format import where_raised
from privacyplease.transport.refusals import Refusals
from privacyplease.transport.slots import Reached
from privacyplease.transport.status import abort, build

DOMAIN = "proxy.privacyplease"

S = TypeVar("S")
Request = TypeVar("Request")
Response = TypeVar("Response")

_log = logging.getLogger(__name__)


def answering(
    method: Callable[[S, Request, grpc.ServicerContext], Response],
) -> Callable[[S, Request, grpc.ServicerContext], Response]:
    """Decorates an rpc with one response: its errors become statuses."""

    @wraps(method)
    def answer(service: S, request: Request, context: grpc.ServicerContext) -> Response:
        try:
            return method(service, request, context)
        except Exception as error:  # the boundary: no error leaves unmapped
            fail(error, context)

    return answer


def streaming(
    method: Callable[[S, Request, grpc.ServicerContext], Iterator[Response]],
) -> Callable[[S, Request, grpc.ServicerContext], Iterator[Response]]:
    """Decorates an rpc with a stream of responses: its errors become statuses."""

    @wraps(method)
    def answer(service: S, request: Request, context: grpc.ServicerContext) -> Iterator[Response]:
        try:
            yield from method(service, request, context)
        except Exception as error:  # the boundary: no error leaves unmapped
            fail(error, context)

    return answer


def status(error: ProxyError) -> status_pb2.Status:
    """The status that describes an error to a client, in full."""
    return build(
        error,
        error.status,
        reasons.ErrorReason.Name(error.reason),
        DOMAIN,
        metadata={**({"field": error.field} if error.field else {}), **error.metadata},
        violations=[(error.field, str(error))] if error.field else (),
        retry_seconds=error.retry_seconds,
    )


def fail(error: Exception, context: grpc.ServicerContext) -> NoReturn:
    """Ends the call with the error's status; an error that is not a `ProxyError` becomes `INTERNAL` with an id."""
    if isinstance(error, grpc.RpcError) and not context.is_active():
        raise error  # the client left while it was sending
    if not isinstance(error, ProxyError):
        error = _typed(error)
    abort(context, status(error), _pushback_ms(error))


def _pushback_ms(error: ProxyError) -> int | None:
    """When gRPC in the client retries by itself: never after a rate limit, which the client's user has to know of."""
    if error.retry_seconds is None:
        return None
    return -1 if isinstance(error, RateLimitedError) else int(error.retry_seconds * 1_000)


_NO_THREAD = "can't start new thread"  # CPython's RuntimeError when there is no memory for its stack


def _typed(error: Exception) -> ProxyError:
    if isinstance(error, MemoryError) or str(error) == _NO_THREAD:
        _log.error("out of memory at %s", where_raised(error.__traceback__))
        return OverloadedError("expected memory for the call, got none; what was acknowledged is stored", kind="memory")
    if is_full(error):
        return TrustedStoreUnavailableError(DISK_FULL)
    if is_unavailable(error):
        return TrustedStoreUnavailableError("the trusted store is unavailable")
    return _internal(error)


def _internal(error: Exception) -> ProxyError:
    """A fault of the proxy. The log gets where it was raised, never the message, which may quote a record."""
    fault = secrets.token_hex(4)
    _log.error("internal fault %s: %s at %s", fault, type(error).__name__, where_raised(error.__traceback__))
    return ProxyError("internal fault; the proxy's log has the details", id=fault)


def _overloaded(reached: Reached) -> OverloadedError:
    return OverloadedError(str(reached), kind=reached.kind, limit=reached.limit)


def _unsent(seconds: float) -> DeadlineExceededError:
    return DeadlineExceededError(f"expected the request message within {seconds:g} s", seconds=f"{seconds:g}")


def _deadline_exceeded(seconds: float) -> DeadlineExceededError:
    return DeadlineExceededError(f"the answer takes longer than {seconds:.0f} s", seconds=f"{seconds:.0f}")


REFUSALS = Refusals(
    overloaded=_overloaded,
    stopping=lambda: StoppingError("the proxy is shutting down"),
    malformed=lambda expected: InvalidRequestError(expected, field="message"),
    unsent=_unsent,
    deadline_exceeded=_deadline_exceeded,
    fail=fail,
)
"""The proxy's errors for calls that it does not admit, or cuts off."""
