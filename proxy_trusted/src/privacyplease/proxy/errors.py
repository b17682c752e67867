"""The proxy's errors as one tree, by what the caller or operator can do about them.

::

    ProxyError
    ├── RequestError            correct the request
    │   ├── InvalidRequestError
    │   ├── MalformedSubjectError
    │   ├── InvalidIntervalError
    │   ├── UnknownDatasetError
    │   ├── UnknownColumnError
    │   ├── PredicateTooLargeError
    │   └── MalformedBatchError
    ├── KeyringError            check the keys
    │   ├── WrongPassphraseError
    │   ├── KeyUnavailableError
    │   ├── MasterKeyUnavailableError
    │   └── MasterKeyRefusedError
    ├── RolledBackError         decide whether to continue from the older state
    ├── AuditUnavailableError   check the audit log's disk
    ├── TrustedStoreUnavailableError   check the database that the proxies share, or the disk of the home
    │   └── FencedError         ask again, or ask another proxy
    ├── StorageError            check the storage server
    │   ├── StorageUnavailableError
    │   └── StorageRefusedError
    ├── TryLaterError           the request is fine: send it again, or ask for less
    │   ├── OverloadedError
    │   ├── DeadlineExceededError
    │   ├── StoppingError
    │   └── StreamIdleError
    ├── NotExportedError        use a keyring that was exported for this
    ├── UnknownIdentityError    use a certificate that names a client
    │   └── RevokedError        ask the administrator of the policy why
    ├── AccessError             ask the administrator of the policy
    │   ├── PermissionDeniedError
    │   ├── PurposeRequiredError
    │   ├── ApprovalRequiredError
    │   ├── RateLimitedError
    │   └── LimitExceededError
    ├── UntrustedAnswerError    what the server returned is not what was stored
    │   ├── CellDamagedError
    │   ├── AnswerInconsistentError
    │   └── CellsMissingError
    └── ConfigurationError      correct the proxy's files and flags; never sent over gRPC

A message says what was expected and what was received; it never holds a key, a tag or a value of a record.
"""

from __future__ import annotations

from typing import ClassVar

import grpc

from privacyplease.proxy.v1 import error_reason_pb2 as reasons


class ProxyError(Exception):
    """The proxy refuses a call, or cannot answer it.

    Attributes:
        reason: The `ErrorReason` sent to the client.
        status: The gRPC status sent to the client.
        field: The request field at fault, or "".
        metadata: Further details for the client, as text.
        retry_seconds: How long to wait before trying again, if known.
    """

    reason: ClassVar[reasons.ErrorReason.ValueType] = reasons.ERROR_REASON_INTERNAL
    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    retry_seconds: float | None = None

    def __init__(self, message: str, *, field: str = "", **metadata: object) -> None:
        super().__init__(message)
        self.field = field
        self.metadata = {name: str(value) for name, value in metadata.items()}


class RequestError(ProxyError):
    """The request must be corrected before it is sent again."""

    reason = reasons.ERROR_REASON_INVALID_REQUEST
    status = grpc.StatusCode.INVALID_ARGUMENT


class InvalidRequestError(RequestError):
    """A field breaks a rule of its message."""


class MalformedSubjectError(RequestError):
    """The subject does not have the form of the data set's subjects."""

    reason = reasons.ERROR_REASON_MALFORMED_SUBJECT


class InvalidIntervalError(RequestError):
    """The interval is reversed, missing or out of bounds."""

    reason = reasons.ERROR_REASON_INVALID_INTERVAL


class UnknownDatasetError(RequestError):
    """No such data set is defined."""

    reason = reasons.ERROR_REASON_UNKNOWN_DATASET
    status = grpc.StatusCode.NOT_FOUND


class UnknownColumnError(RequestError):
    """The data set has no such column."""

    reason = reasons.ERROR_REASON_UNKNOWN_COLUMN


class PredicateTooLargeError(RequestError):
    """The question touches more tags than one question may."""

    reason = reasons.ERROR_REASON_PREDICATE_TOO_LARGE


class MalformedBatchError(RequestError):
    """A batch of records cannot be read at all."""

    reason = reasons.ERROR_REASON_MALFORMED_BATCH


class KeyringError(ProxyError):
    """A key is missing or does not open."""

    reason = reasons.ERROR_REASON_KEY_UNAVAILABLE
    status = grpc.StatusCode.FAILED_PRECONDITION


class WrongPassphraseError(KeyringError):
    """The passphrase does not open the master key."""

    reason = reasons.ERROR_REASON_WRONG_PASSPHRASE


class KeyUnavailableError(KeyringError):
    """A data key does not open under the master key."""


class MasterKeyUnavailableError(KeyringError):
    """The holder of the master key (HSM, vault, KMS) does not answer at present."""

    reason = reasons.ERROR_REASON_MASTER_KEY_UNAVAILABLE
    status = grpc.StatusCode.UNAVAILABLE


class MasterKeyRefusedError(KeyringError):
    """The holder of the master key refuses to use it: the key was revoked, disabled or deleted."""

    reason = reasons.ERROR_REASON_MASTER_KEY_REFUSED


class NotExportedError(ProxyError):
    """The proxy runs on an exported keyring, which does not cover this call."""

    reason = reasons.ERROR_REASON_NOT_EXPORTED
    status = grpc.StatusCode.PERMISSION_DENIED


class UnknownIdentityError(ProxyError):
    """The caller's certificate is genuine, but names no client."""

    reason = reasons.ERROR_REASON_UNKNOWN_IDENTITY
    status = grpc.StatusCode.UNAUTHENTICATED


class RevokedError(UnknownIdentityError):
    """The caller's certificate, or their name, was revoked."""


class AccessError(ProxyError):
    """The policy does not allow the caller to ask this."""

    reason = reasons.ERROR_REASON_PERMISSION_DENIED
    status = grpc.StatusCode.PERMISSION_DENIED


class PermissionDeniedError(AccessError):
    """The caller lacks the role, or the role does not cover what they ask."""


class PurposeRequiredError(AccessError):
    """No purpose was stated, or one that the caller may not state."""

    reason = reasons.ERROR_REASON_PURPOSE_REQUIRED


class ApprovalRequiredError(AccessError):
    """A second person has not granted what the caller asks for."""

    reason = reasons.ERROR_REASON_APPROVAL_REQUIRED


class LimitExceededError(AccessError):
    """The question exceeds a limit that the policy sets for the caller."""

    reason = reasons.ERROR_REASON_LIMIT_EXCEEDED


class RateLimitedError(AccessError):
    """The caller has reached the limit of calls a minute."""

    reason = reasons.ERROR_REASON_RATE_LIMITED
    status = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, message: str, retry_seconds: float, *, field: str = "", **metadata: object) -> None:
        super().__init__(message, field=field, retry_seconds=f"{retry_seconds:.3f}", **metadata)
        self.retry_seconds = retry_seconds


class RolledBackError(ProxyError):
    """The trusted store is older than the newest head that the storage server or a witness holds."""

    reason = reasons.ERROR_REASON_ROLLED_BACK
    status = grpc.StatusCode.FAILED_PRECONDITION


class AuditUnavailableError(ProxyError):
    """The call must be recorded in the audit log and cannot be, so it is not answered."""

    reason = reasons.ERROR_REASON_AUDIT_UNAVAILABLE
    status = grpc.StatusCode.FAILED_PRECONDITION


class TrustedStoreUnavailableError(ProxyError):
    """The trusted store's database cannot be reached, or its disk is full; trying again is safe."""

    reason = reasons.ERROR_REASON_TRUSTED_STORE_UNAVAILABLE
    status = grpc.StatusCode.UNAVAILABLE
    retry_seconds = 1.0


class FencedError(TrustedStoreUnavailableError):
    """The proxy has lost its lease on the trusted store that it shares with others, and renews it."""


class StorageError(ProxyError):
    """The storage server did not do what was asked."""


class StorageUnavailableError(StorageError):
    """The storage server or its database cannot be reached; trying again is safe."""

    reason = reasons.ERROR_REASON_STORAGE_UNAVAILABLE
    status = grpc.StatusCode.UNAVAILABLE
    retry_seconds = 1.0


class StorageRefusedError(StorageError):
    """The storage server refused the call: proxy and server are not compatible."""

    reason = reasons.ERROR_REASON_STORAGE_REFUSED


class TryLaterError(ProxyError):
    """The request is fine and may be sent again: nothing was done, or what was done can be repeated safely."""


class OverloadedError(TryLaterError):
    """All slots for calls of this kind are in use, or all that the caller may hold."""

    reason = reasons.ERROR_REASON_OVERLOADED
    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    retry_seconds = 1.0


class DeadlineExceededError(TryLaterError):
    """The answer takes longer than the proxy allows, or than the caller's deadline; or the request did not arrive."""

    reason = reasons.ERROR_REASON_DEADLINE_EXCEEDED
    status = grpc.StatusCode.DEADLINE_EXCEEDED


class StoppingError(TryLaterError):
    """The proxy is being stopped."""

    reason = reasons.ERROR_REASON_STOPPING
    status = grpc.StatusCode.UNAVAILABLE


class StreamIdleError(TryLaterError):
    """Nothing was received on a stream for too long."""

    reason = reasons.ERROR_REASON_STREAM_IDLE
    status = grpc.StatusCode.UNAVAILABLE


class UntrustedAnswerError(ProxyError):
    """The storage server's answer is not what was stored. No part of it is used."""

    status = grpc.StatusCode.DATA_LOSS


class CellDamagedError(UntrustedAnswerError):
    """A cell does not open: it was changed or moved."""

    reason = reasons.ERROR_REASON_CELL_DAMAGED


class AnswerInconsistentError(UntrustedAnswerError):
    """A cell was returned unrequested, twice or out of order."""

    reason = reasons.ERROR_REASON_ANSWER_INCONSISTENT


class CellsMissingError(UntrustedAnswerError):
    """Cells that were stored were not returned."""

    reason = reasons.ERROR_REASON_CELLS_MISSING


class ConfigurationError(Exception):
    """A file or flag of the proxy is wrong. The message names the file and the entry."""
