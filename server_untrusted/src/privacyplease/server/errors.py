"""The server's errors, by who can do something about them.

    ServerError
    ├── StartError                  the operator: the server cannot start
    │   ├── SchemaTooNewError
    │   └── SchemaTooOldError
    └── RefusedError                the caller: sent with a reason
        ├── InvalidRequestError         fix the request
        ├── PredicateTooLargeError      split the request
        ├── TooManyCellsError           split the request
        ├── CellTooLargeError           seal fewer records into a cell
        ├── StoreUnavailableError       retry later
        ├── OverloadedError             retry in a second
        ├── DeadlineExceededError       ask for less at a time
        ├── StoppingError               retry at another server, or when this one is back
        ├── UnknownIdentityError        use the proxy's certificate
        └── InternalError               a fault of this server

A message says "expected X, got Y". It holds numbers and names of fields, never a byte of a tag or a cell.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import grpc

from privacyplease.storage.v1 import error_reason_pb2 as reasons
from privacyplease.transport.slots import Reached


class ServerError(Exception):
    """Any error that this server raises on purpose."""


class StartError(ServerError):
    """The server cannot start as it is configured."""


class SchemaTooNewError(StartError):
    """The database was written by a newer server."""

    def __init__(self, *, current: int, known: int) -> None:
        super().__init__(
            f"expected database schema version {known} or older, got {current}: run the server release that wrote it"
        )


class SchemaTooOldError(StartError):
    """The database was written by an earlier server, and there is no migration from its version."""

    def __init__(self, *, known: int) -> None:
        super().__init__(
            f"expected database schema version {known}, got an earlier version, which cannot be migrated: "
            "ingest its records again, into an empty database"
        )


class Violation(NamedTuple):
    """A field of a request that breaks a rule of its message."""

    field: str
    description: str


class RefusedError(ServerError):
    """A call was refused, or failed, for one of the contract's reasons (error_reason.proto).

    Attributes:
        code: The gRPC status code.
        reason: The contract's reason.
        retry_seconds: After how long a retry may succeed; None if retrying is pointless or the time is unknown.
        violations: The fields of the request at fault, if any.
        metadata: Numbers that describe the error further.
    """

    code: ClassVar[grpc.StatusCode]
    reason: ClassVar[reasons.ErrorReason.ValueType]
    retry_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, *violations: Violation, **metadata: int) -> None:
        super().__init__(message)
        self.violations = violations
        self.metadata = metadata


class InvalidRequestError(RefusedError):
    """The request breaks rules of its message."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = reasons.ERROR_REASON_INVALID_REQUEST

    def __init__(self, *violations: Violation) -> None:
        first = violations[0]
        super().__init__(f"{first.field}: {first.description}", *violations)


class PredicateTooLargeError(RefusedError):
    """The predicate names more tags than the server accepts."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = reasons.ERROR_REASON_PREDICATE_TOO_LARGE

    def __init__(self, field: str, *, tags: int, limit: int) -> None:
        message = f"expected at most {limit:,} tags, got {tags:,}"
        super().__init__(message, Violation(field, message), tags=tags, limit=limit)


class TooManyCellsError(RefusedError):
    """The request carries more cells than the server accepts."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = reasons.ERROR_REASON_TOO_MANY_CELLS

    def __init__(self, field: str, *, cells: int, limit: int) -> None:
        message = f"expected at most {limit:,} cells, got {cells:,}"
        super().__init__(message, Violation(field, message), cells=cells, limit=limit)


class CellTooLargeError(RefusedError):
    """A cell is larger than the server stores."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = reasons.ERROR_REASON_CELL_TOO_LARGE

    def __init__(self, field: str, *, size: int, limit: int) -> None:
        message = f"expected a cell of at most {limit:,} bytes, got {size:,}"
        super().__init__(message, Violation(field, message), bytes=size, limit=limit)


class StoreUnavailableError(RefusedError):
    """The database is unavailable or too busy, or the connection to it was lost. Nothing is known to be stored."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = reasons.ERROR_REASON_STORE_UNAVAILABLE


class OverloadedError(RefusedError):
    """All slots for calls of this kind are in use. Nothing was done."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = reasons.ERROR_REASON_OVERLOADED
    retry_seconds = 1

    def __init__(self, reached: Reached) -> None:
        super().__init__(str(reached), limit=reached.limit)


class DeadlineExceededError(RefusedError):
    """The call takes longer than is allowed, or than its caller waits; or its message did not arrive."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = reasons.ERROR_REASON_DEADLINE_EXCEEDED

    def __init__(self, seconds: float, what: str = "the call takes longer than") -> None:
        super().__init__(f"{what} {seconds:,.0f} s", seconds=int(seconds))


class StoppingError(RefusedError):
    """The server is shutting down. Nothing was done."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = reasons.ERROR_REASON_STOPPING

    def __init__(self) -> None:
        super().__init__("the server is shutting down")


class UnknownIdentityError(RefusedError):
    """The caller's certificate is genuine, but not the proxy's."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = reasons.ERROR_REASON_UNKNOWN_IDENTITY

    def __init__(self) -> None:
        super().__init__("expected the proxy's certificate, got one with another identity or none")


class InternalError(RefusedError):
    """An unexpected error. The message says nothing of it, and the log only its type and where it was raised."""

    code = grpc.StatusCode.INTERNAL
    reason = reasons.ERROR_REASON_INTERNAL

    def __init__(self) -> None:
        super().__init__("internal error; the server's log says where it was raised")
