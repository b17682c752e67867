"""Everything that this server fails with, by who can do something about it.

    ServerError
    ├── StartError                  the operator: the server cannot begin to serve
    │   ├── SchemaTooNewError
    │   └── SchemaTooOldError
    └── RefusedError                the caller: crosses the wire with a reason
        ├── InvalidRequestError         mend the request
        ├── PredicateTooLargeError      split it
        ├── TooManyCellsError           split it
        ├── CellTooLargeError           seal fewer records into a cell
        ├── StoreUnavailableError       send it again later
        ├── OverloadedError             send it again in a second
        ├── DeadlineExceededError       ask for less at once
        ├── StoppingError               send it to another server, or when this one is back
        ├── UnknownIdentityError        come with the proxy's certificate
        └── InternalError               a fault of this server

A message says what was expected and what came. It holds numbers and names of fields, never a byte of a tag or a cell.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import grpc

from privacyplease.storage.v1 import error_reason_pb2 as reasons


class ServerError(Exception):
    """Something that this server foresaw."""


class StartError(ServerError):
    """The server cannot begin to serve as it is configured."""


class SchemaTooNewError(StartError):
    """The database was written by a newer server."""

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(
            f"expected database schema version {known} or older, got {found}: run the server release that wrote it"
        )


class SchemaTooOldError(StartError):
    """The database was written by an earlier server, and there is no way from its tables to today's."""

    def __init__(self, *, known: int) -> None:
        super().__init__(
            f"expected database schema version {known}, got a database of an earlier version, which has no migration: "
            "ingest its records anew, into an empty database"
        )


class Violation(NamedTuple):
    """One broken rule of a request's message."""

    field: str
    description: str


class RefusedError(ServerError):
    """A call that was refused, or failed, in a way that the contract names (error_reason.proto).

    Attributes:
        violations: Which fields of the request are at fault, if any are.
        metadata: What else a client may want to know.
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
    """The predicate names more tags than the server takes."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = reasons.ERROR_REASON_PREDICATE_TOO_LARGE

    def __init__(self, field: str, *, tags: int, limit: int) -> None:
        message = f"expected at most {limit:,} tags, got {tags:,}"
        super().__init__(message, Violation(field, message), tags=tags, limit=limit)


class TooManyCellsError(RefusedError):
    """The call carries more cells than the server takes."""

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
    """The database cannot be reached, lost the connection or is too busy. Nothing is known to be stored."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = reasons.ERROR_REASON_STORE_UNAVAILABLE


class OverloadedError(RefusedError):
    """As many calls of this kind run as may. Nothing was done."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = reasons.ERROR_REASON_OVERLOADED
    retry_seconds = 1

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"{limit:,} calls of this kind run, which is all", limit=limit)


class DeadlineExceededError(RefusedError):
    """The call takes longer than it may, or than its caller waits."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = reasons.ERROR_REASON_DEADLINE_EXCEEDED

    def __init__(self, *, seconds: int) -> None:
        super().__init__(f"the call takes longer than {seconds:,} s", seconds=seconds)


class StoppingError(RefusedError):
    """The server is being stopped. Nothing was done."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = reasons.ERROR_REASON_STOPPING

    def __init__(self) -> None:
        super().__init__("the server is being stopped")


class UnknownIdentityError(RefusedError):
    """The caller's certificate is genuine, but is not the proxy's."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = reasons.ERROR_REASON_UNKNOWN_IDENTITY

    def __init__(self) -> None:
        super().__init__("expected the proxy's certificate, got one with another identity or without")


class InternalError(RefusedError):
    """Something that this server did not foresee. Neither message nor log says more than where."""

    code = grpc.StatusCode.INTERNAL
    reason = reasons.ERROR_REASON_INTERNAL

    def __init__(self) -> None:
        super().__init__("internal error; the server's log says where")
