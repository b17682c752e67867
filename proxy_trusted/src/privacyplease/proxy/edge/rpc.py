"""How a failure leaves the proxy: one gRPC status with a reason, and nothing of its inside.

Every rpc of every service runs inside `answering` or `streaming`.
"""

from __future__ import annotations

import logging
import math
import secrets
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from privacyplease.proxy.errors import ProxyError, RateLimitedError, TrustedStoreUnavailableError
from privacyplease.proxy.trusted_store.store import is_unavailable
from privacyplease.proxy.v1 import error_reason_pb2 as reasons

DOMAIN = "proxy.privacyplease"

# gRPC takes 8 KiB of trailers. A message is there three times: with each byte escaped as three, and twice in Base64.
MOST_MESSAGE_BYTES = 1_000

S = TypeVar("S")
Request = TypeVar("Request")
Response = TypeVar("Response")

_log = logging.getLogger(__name__)


def answering(
    method: Callable[[S, Request, grpc.ServicerContext], Response],
) -> Callable[[S, Request, grpc.ServicerContext], Response]:
    """Makes an rpc with one response fail with a status."""

    @wraps(method)
    def answer(service: S, request: Request, context: grpc.ServicerContext) -> Response:
        try:
            return method(service, request, context)
        except Exception as error:  # the boundary: nothing passes it unmapped
            fail(error, context)

    return answer


def streaming(
    method: Callable[[S, Request, grpc.ServicerContext], Iterator[Response]],
) -> Callable[[S, Request, grpc.ServicerContext], Iterator[Response]]:
    """Makes an rpc with a stream of responses fail with a status."""

    @wraps(method)
    def answer(service: S, request: Request, context: grpc.ServicerContext) -> Iterator[Response]:
        try:
            yield from method(service, request, context)
        except Exception as error:  # the boundary: nothing passes it unmapped
            fail(error, context)

    return answer


def status(error: ProxyError) -> status_pb2.Status:
    """The status that tells a client of an error, in full."""
    message = _clipped(str(error))
    metadata = {name: _clipped(value) for name, value in error.metadata.items()}
    metadata = {**({"field": error.field} if error.field else {}), **metadata}
    info = error_details_pb2.ErrorInfo(reason=reasons.ErrorReason.Name(error.reason), domain=DOMAIN, metadata=metadata)
    details: list[Message] = [info]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(math.ceil(error.retry_seconds * 1_000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = [any_pb2.Any() for _ in details]
    for envelope, detail in zip(packed, details, strict=True):
        envelope.Pack(detail)
    return status_pb2.Status(code=error.status.value[0], message=message, details=packed)


def _clipped(text: str) -> str:
    return text.encode()[:MOST_MESSAGE_BYTES].decode(errors="ignore")


def fail(error: Exception, context: grpc.ServicerContext) -> NoReturn:
    """Ends the call with the error's status; with `INTERNAL` and an id if it is none of ours."""
    if isinstance(error, grpc.RpcError) and not context.is_active():
        raise error  # the client left while it was sending
    if not isinstance(error, ProxyError):
        error = TrustedStoreUnavailableError("the trusted store is away") if is_unavailable(error) else _internal(error)
    ended = rpc_status.to_status(status(error))
    if error.retry_seconds is not None:  # as gRPC's own retries read it (gRFC A6): -1 is to leave it to the caller
        milliseconds = -1 if isinstance(error, RateLimitedError) else int(error.retry_seconds * 1_000)
        pushback = ("grpc-retry-pushback-ms", str(milliseconds))
        context.set_trailing_metadata((*ended.trailing_metadata, pushback))
        context.abort(ended.code, ended.details)
    context.abort_with_status(ended)
    raise AssertionError("abort_with_status returned")


def _internal(error: Exception) -> ProxyError:
    """A fault of the proxy. The log gets where it happened, never the message: that may quote a record."""
    fault = secrets.token_hex(4)
    frames = "; ".join(
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    )
    _log.error("internal fault %s: %s at %s", fault, type(error).__name__, frames)
    return ProxyError("internal fault; the proxy's log has the details", id=fault)
