"""gRPC statuses that carry a reason: how an error leaves a server (google.rpc.Status, AIP-193)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

# gRPC allows 8 KiB of trailers, and a message is in them three times: once with each byte escaped as three, twice in
# Base64.
_MAX_TEXT_BYTES = 1_000


def build(
    error: Exception,
    code: grpc.StatusCode,
    reason: str,
    domain: str,
    *,
    metadata: Mapping[str, object],
    violations: Sequence[tuple[str, str]] = (),
    retry_seconds: float | None = None,
) -> status_pb2.Status:
    """The status of an error; long texts in it are cut.

    Args:
        error: Its text is the status's message.
        code: The gRPC code.
        reason: A name of the contract's `ErrorReason`.
        domain: The contract that defines the reason.
        metadata: What else the caller may want to know.
        violations: The request's fields at fault, each with what is wrong.
        retry_seconds: After how long a retry may succeed.
    """
    info = error_details_pb2.ErrorInfo(
        reason=reason, domain=domain, metadata={name: _cut(str(value)) for name, value in metadata.items()}
    )
    details = [info, *_violations(violations), *_retry(retry_seconds)]
    return status_pb2.Status(code=code.value[0], message=_cut(str(error)), details=[_packed(each) for each in details])


def abort(context: grpc.ServicerContext, status: status_pb2.Status, pushback_ms: int | None = None) -> NoReturn:
    """Ends a call with a status.

    Args:
        context: The call's.
        status: Its status.
        pushback_ms: After how long gRPC in the client retries by itself (gRFC A6); negative forbids it, None leaves it
            to the client's configuration.
    """
    grpc_status = rpc_status.to_status(status)
    if pushback_ms is not None:
        pushback = ("grpc-retry-pushback-ms", str(pushback_ms))
        context.set_trailing_metadata((*grpc_status.trailing_metadata, pushback))
        context.abort(grpc_status.code, grpc_status.details)
    context.abort_with_status(grpc_status)
    raise AssertionError("abort_with_status returned")


def _violations(violations: Sequence[tuple[str, str]]) -> Iterator[Message]:
    if violations:
        yield error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=field, description=_cut(description))
                for field, description in violations
            ]
        )


def _retry(seconds: float | None) -> Iterator[Message]:
    if seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(math.ceil(seconds * 1_000))
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _cut(text: str) -> str:
    return text.encode()[:_MAX_TEXT_BYTES].decode(errors="ignore")
