"""How an error leaves the server. The one place where an error becomes a gRPC status."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc
from google.rpc import status_pb2

from privacyplease.server.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidRequestError,
    OverloadedError,
    RefusedError,
    StoppingError,
    StoreUnavailableError,
    Violation,
)
from privacyplease.storage.v1 import error_reason_pb2 as reasons
from privacyplease.transport.log_format import where_raised
from privacyplease.transport.refusals import Refusals
from privacyplease.transport.status import abort, build

DOMAIN = "storage.privacyplease"

_log = logging.getLogger(__name__)

_NO_THREAD = "can't start new thread"  # CPython's RuntimeError when there is no memory for its stack


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Ends the call with the right status if the block fails."""
    try:
        yield
    except Exception as error:
        fail(error, context)


def fail(error: Exception, context: grpc.ServicerContext) -> NoReturn:
    """Ends the call with the error's status; an error that is not a `RefusedError` becomes `INTERNAL`."""
    if isinstance(error, grpc.RpcError) and not context.is_active():
        raise error  # the caller left while it was sending
    if isinstance(error, MemoryError) or str(error) == _NO_THREAD:
        error = StoreUnavailableError("expected memory for the call, got none")
    if not isinstance(error, RefusedError):
        # Neither the caller nor the log gets its message: a database's errors quote statements, and those hold tags.
        _log.error("unexpected %s at %s", type(error).__name__, where_raised(error.__traceback__))
        error = InternalError()
    if isinstance(error, StoreUnavailableError):
        _log.warning("%s", error)
    pushback_ms = None if error.retry_seconds is None else 1_000 * error.retry_seconds
    abort(context, status_of(error), pushback_ms)


def status_of(error: RefusedError) -> status_pb2.Status:
    """The status of a refused call, with its reason and its details."""
    return build(
        error,
        error.code,
        reasons.ErrorReason.Name(error.reason),
        DOMAIN,
        metadata=error.metadata,
        violations=error.violations,
        retry_seconds=error.retry_seconds,
    )


REFUSALS = Refusals(
    overloaded=OverloadedError,
    stopping=StoppingError,
    malformed=lambda expected: InvalidRequestError(Violation("message", expected)),
    unsent=lambda seconds: DeadlineExceededError(seconds, "expected the request message within"),
    deadline_exceeded=DeadlineExceededError,
    fail=fail,
)
"""This server's errors for calls that it does not admit, or cuts off."""
