"""Errors, as the wire tells them. The one place where an error becomes a gRPC status."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from privacyplease.server.errors import InternalError, RefusedError, StoreUnavailableError
from privacyplease.storage.v1 import error_reason_pb2 as reasons

DOMAIN = "storage.privacyplease"

_log = logging.getLogger(__name__)


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Ends the call with the right status if the block fails."""
    try:
        yield
    except Exception as error:
        fail(error, context)


def fail(error: Exception, context: grpc.ServicerContext) -> NoReturn:
    """Ends the call with the status that tells of an error."""
    if isinstance(error, grpc.RpcError) and not context.is_active():
        raise error  # the caller left while it was sending
    if not isinstance(error, RefusedError):
        # Neither the caller nor the log gets its message: a database's errors quote statements, and those hold tags.
        _log.error("unexpected %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        error = InternalError()
    if isinstance(error, StoreUnavailableError):
        _log.warning("%s", error)
    ended = rpc_status.to_status(status_of(error))
    if error.retry_seconds is not None:  # as gRPC's own retries read it (gRFC A6)
        pushback = ("grpc-retry-pushback-ms", str(1_000 * error.retry_seconds))
        context.set_trailing_metadata((*ended.trailing_metadata, pushback))
        context.abort(ended.code, ended.details)
    context.abort_with_status(ended)
    raise AssertionError("abort_with_status returned")


def status_of(refused: RefusedError) -> status_pb2.Status:
    """The status of a refused call: its code, its reason and what the reason comes with."""
    return status_pb2.Status(
        code=refused.code.value[0],
        message=str(refused),
        details=[_packed(detail) for detail in _details(refused)],
    )


def _details(refused: RefusedError) -> Iterator[Message]:
    yield error_details_pb2.ErrorInfo(
        reason=reasons.ErrorReason.Name(refused.reason),
        domain=DOMAIN,
        metadata={name: str(number) for name, number in refused.metadata.items()},
    )
    if refused.violations:
        yield error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
                for field, description in refused.violations
            ]
        )
    if refused.retry_seconds is not None:
        yield error_details_pb2.RetryInfo(retry_delay=Duration(seconds=refused.retry_seconds))


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
