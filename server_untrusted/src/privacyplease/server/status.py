"""Errors, as the wire tells them. The one place where an error becomes a gRPC status."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from privacyplease.server.errors import InternalError, InvalidRequestError, RefusedError, StoreUnavailableError
from privacyplease.storage.v1 import error_reason_pb2 as reasons

DOMAIN = "storage.privacyplease"

_log = logging.getLogger(__name__)


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Ends the call with the right status if the block fails."""
    try:
        yield
    except RefusedError as refused:
        if isinstance(refused, StoreUnavailableError):
            _log.warning("%s", refused)
        status = status_of(refused)
    except Exception as error:
        # Neither the caller nor the log gets its message: a database's errors quote statements, and those hold tags.
        _log.error("unexpected %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        status = status_of(InternalError())
    else:
        return
    context.abort_with_status(rpc_status.to_status(status))


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
    if isinstance(refused, InvalidRequestError):
        yield error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
                for field, description in refused.violations
            ]
        )


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
