"""Maps gRPC statuses to the SDK's exceptions: the only place where gRPC's errors are wrapped."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, TracebackType
from typing import Protocol, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from privacyplease.client import errors
from privacyplease.client._internal.connection import handshake
from privacyplease.client._internal.connection.proxy_channel import Peer
from privacyplease.proxy.v1.error_reason_pb2 import ErrorReason

_Detail = TypeVar("_Detail", error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)

_DOMAIN = "proxy.privacyplease"

BY_REASON: Mapping[int, type[errors.PrivacyPleaseError]] = MappingProxyType(
    {
        ErrorReason.ERROR_REASON_INVALID_REQUEST: errors.InvalidRequestError,
        ErrorReason.ERROR_REASON_MALFORMED_SUBJECT: errors.MalformedSubjectError,
        ErrorReason.ERROR_REASON_INVALID_INTERVAL: errors.InvalidIntervalError,
        ErrorReason.ERROR_REASON_UNKNOWN_DATASET: errors.UnknownDatasetError,
        ErrorReason.ERROR_REASON_UNKNOWN_COLUMN: errors.UnknownColumnError,
        ErrorReason.ERROR_REASON_PREDICATE_TOO_LARGE: errors.PredicateTooLargeError,
        ErrorReason.ERROR_REASON_MALFORMED_BATCH: errors.MalformedBatchError,
        ErrorReason.ERROR_REASON_CELL_DAMAGED: errors.CellDamagedError,
        ErrorReason.ERROR_REASON_ANSWER_INCONSISTENT: errors.AnswerInconsistentError,
        ErrorReason.ERROR_REASON_STORAGE_UNAVAILABLE: errors.StorageUnavailableError,
        ErrorReason.ERROR_REASON_STORAGE_REFUSED: errors.StorageRefusedError,
        ErrorReason.ERROR_REASON_KEY_UNAVAILABLE: errors.KeyUnavailableError,
        ErrorReason.ERROR_REASON_WRONG_PASSPHRASE: errors.WrongPassphraseError,
        ErrorReason.ERROR_REASON_UNKNOWN_IDENTITY: errors.CertificateError,
        ErrorReason.ERROR_REASON_INTERNAL: errors.InternalError,
        ErrorReason.ERROR_REASON_CELLS_MISSING: errors.CellsMissingError,
        ErrorReason.ERROR_REASON_ROLLED_BACK: errors.RolledBackError,
        ErrorReason.ERROR_REASON_OVERLOADED: errors.OverloadedError,
        ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED: errors.DeadlineExceededError,
        ErrorReason.ERROR_REASON_STOPPING: errors.ProxyStoppingError,
        ErrorReason.ERROR_REASON_STREAM_IDLE: errors.StreamIdleError,
        ErrorReason.ERROR_REASON_MASTER_KEY_UNAVAILABLE: errors.MasterKeyUnavailableError,
        ErrorReason.ERROR_REASON_MASTER_KEY_REFUSED: errors.MasterKeyRefusedError,
        ErrorReason.ERROR_REASON_NOT_EXPORTED: errors.NotExportedError,
        ErrorReason.ERROR_REASON_PERMISSION_DENIED: errors.PermissionDeniedError,
        ErrorReason.ERROR_REASON_PURPOSE_REQUIRED: errors.PurposeRequiredError,
        ErrorReason.ERROR_REASON_RATE_LIMITED: errors.RateLimitedError,
        ErrorReason.ERROR_REASON_LIMIT_EXCEEDED: errors.LimitExceededError,
        ErrorReason.ERROR_REASON_AUDIT_UNAVAILABLE: errors.AuditUnavailableError,
        ErrorReason.ERROR_REASON_APPROVAL_REQUIRED: errors.ApprovalRequiredError,
        ErrorReason.ERROR_REASON_TRUSTED_STORE_UNAVAILABLE: errors.TrustedStoreUnavailableError,
    }
)
"""One class for each reason; a test proves the table complete."""

_BY_STATUS: Mapping[grpc.StatusCode, type[errors.PrivacyPleaseError]] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: errors.RequestError,
        grpc.StatusCode.NOT_FOUND: errors.RequestError,
        grpc.StatusCode.PERMISSION_DENIED: errors.RefusedError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TryAgainError,
        grpc.StatusCode.UNAVAILABLE: errors.TryAgainError,
        grpc.StatusCode.CANCELLED: errors.TryAgainError,  # a stream ends like this when the proxy is stopped
        grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceededError,
        grpc.StatusCode.UNAUTHENTICATED: errors.CertificateError,
        grpc.StatusCode.DATA_LOSS: errors.TrustError,
    }
)
"""For reasons that are newer than this SDK, and for failures without a reason."""


class _Failed(Protocol):
    """A failed call, blocking or async: every `grpc.RpcError` is one, but grpc's type stubs do not say so."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


class _Cancellable(Protocol):
    """A running call, blocking or async."""

    def cancel(self) -> object: ...


@contextmanager
def cancelled_at_end(call: _Cancellable) -> Iterator[None]:
    """Cancels the call at the end, in case it is abandoned before it is complete."""
    try:
        yield
    finally:
        call.cancel()


class translated:  # noqa: N801 (read as a verb: `with translated(peer):`)
    """Raises the SDK's exception, by `error_of`, for a gRPC failure inside: of a call to `peer`, blocking or async."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(failure, grpc.RpcError):
            raise error_of(failure, self._peer) from failure

    async def __aenter__(self) -> None:
        """Nothing to do."""

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(failure, grpc.RpcError):  # in a thread: to find out why may take a handshake
            raise await asyncio.to_thread(error_of, failure, self._peer) from failure


def error_of(failure: grpc.RpcError, peer: Peer) -> errors.PrivacyPleaseError:
    """The exception for a failed call to `peer`, blocking or async."""
    call = cast(_Failed, failure)
    details = _details(call)
    info = _detail(details, error_details_pb2.ErrorInfo())
    if info is None or info.domain != _DOMAIN:
        return _without_reason(call, peer)
    violations = _detail(details, error_details_pb2.BadRequest()) or error_details_pb2.BadRequest()
    retry = _detail(details, error_details_pb2.RetryInfo())
    return _class_of(info.reason, call.code())(
        call.details() or info.reason,
        reason=info.reason,
        metadata=info.metadata,
        violations=tuple(errors.FieldViolation(v.field, v.description) for v in violations.field_violations),
        retry_after_s=retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9 if retry else None,
    )


def _details(call: _Failed) -> status_pb2.Status:
    try:
        return rpc_status.from_call(cast(grpc.Call, call)) or status_pb2.Status()
    except (ValueError, DecodeError):  # details that contradict the status itself are ignored
        return status_pb2.Status()


def _detail(status: status_pb2.Status, empty: _Detail) -> _Detail | None:
    try:
        return next((empty for packed in status.details if packed.Unpack(empty)), None)
    except DecodeError:  # a detail that cannot be read is ignored
        return None


def _class_of(reason: str, status: grpc.StatusCode) -> type[errors.PrivacyPleaseError]:
    number = dict(ErrorReason.items()).get(reason, ErrorReason.ERROR_REASON_UNSPECIFIED)
    return BY_REASON.get(number) or _BY_STATUS.get(status, errors.FaultError)


def _without_reason(call: _Failed, peer: Peer) -> errors.PrivacyPleaseError:
    """Without a reason the failure comes from gRPC on either side, not from the proxy."""
    if call.code() is grpc.StatusCode.UNAVAILABLE:
        if fault := _certificate_fault(call.details() or "", peer):
            return errors.CertificateError(fault)
        return errors.ProxyUnreachableError(f"the proxy is unreachable: {call.details()}")
    raised = _BY_STATUS.get(call.code(), errors.FaultError)
    return raised(f"expected an answer, got status {call.code().name}: {call.details()}")


def _certificate_fault(details: str, peer: Peer) -> str:
    """What is wrong with the certificates; "" if the failure has another cause.

    gRPC reports it only in the text of the status. Under TLS 1.3 a server checks the client's certificate last, and
    gRPC's server closes the connection without an alert if it rejects it, or if it expects TLS and gets plaintext.
    """
    if "WRONG_VERSION_NUMBER" in details:
        return "the proxy does not use TLS: it was started with --insecure, or another service listens at its address"
    address, folder = peer.address, peer.certificates
    if "Hostname Verification Check failed" in details and folder:
        return handshake.wrong_name(address, folder)
    if "Tls handshake failed" in details:
        out_of_date = handshake.proxy_out_of_date(address, folder) if folder else ""
        return out_of_date or f"the proxy's certificate is not trusted: {_why_not(details)}"
    if "failed to connect" in details and details.endswith("Socket closed"):
        out_of_date = handshake.own_out_of_date(folder) if folder else ""
        return (
            out_of_date
            or "the proxy did not accept the certificate: it is missing, has expired or was issued by another CA"
        )
    return ""


def _why_not(details: str) -> str:
    """OpenSSL's own words, as "certificate has expired"."""
    return details.rpartition("CERTIFICATE_VERIFY_FAILED: ")[2].removesuffix(": OK")
