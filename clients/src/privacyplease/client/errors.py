"""The errors of the SDK, grouped by what the caller can do about them.

    PrivacyPleaseError
    ├── RequestError                 fix the request: unchanged, it fails again
    │   ├── InvalidRequestError          a field violates a rule of the contract; `violations` names it
    │   ├── MalformedSubjectError        the device is not in the data set's notation
    │   ├── InvalidIntervalError         the interval ends before it starts
    │   ├── UnknownDatasetError          no such data set, or it cannot answer this question
    │   ├── UnknownColumnError           no such column
    │   ├── PredicateTooLargeError       the question touches too much: ask for a shorter range
    │   └── MalformedBatchError          an ingested batch cannot be read
    ├── RefusedError                 the policy does not allow this: ask an administrator
    │   ├── PermissionDeniedError        the caller's role is missing, or does not cover this
    │   ├── ApprovalRequiredError        a second person has to grant it; `metadata` has its number
    │   ├── PurposeRequiredError         no purpose was stated, or one that is not allowed
    │   ├── LimitExceededError           the question exceeds the caller's limits; `violations` names the field
    │   └── NotExportedError             the proxy runs on an exported keyring that does not cover this
    ├── TryAgainError                try again: nothing is wrong with the request
    │   ├── ProxyUnreachableError        no proxy answers at the address
    │   ├── StorageUnavailableError      the storage server or its database is unavailable
    │   ├── TrustedStoreUnavailableError  the database that proxies share is unavailable
    │   ├── OverloadedError              the proxy is at capacity; `retry_after_s` says when to try again
    │   ├── ProxyStoppingError           the proxy is shutting down
    │   ├── StreamIdleError              an ingest stream was closed because nothing was sent on it
    │   ├── MasterKeyUnavailableError    the HSM, vault or KMS that holds the master key is unavailable
    │   ├── DeadlineExceededError        no answer before the deadline
    │   └── RateLimitedError             the caller's rate limit is used up; `metadata` has retry_seconds
    ├── FaultError                   the system is at fault: report it, trying again does not help
    │   ├── KeyUnavailableError          the keyring is damaged, or belongs to another master key
    │   ├── CertificateError             either side's certificate is missing, expired or not trusted
    │   ├── WrongPassphraseError         the proxy runs, but with a passphrase that does not open its keys
    │   ├── AuditUnavailableError        the audit log cannot be written, so the call is not answered
    │   ├── RolledBackError              the trusted store is older than its last known version
    │   ├── MasterKeyRefusedError        the HSM, vault or KMS refuses to use the master key
    │   ├── StorageRefusedError          proxy and storage server are not compatible
    │   └── InternalError                the proxy failed; its log has the details
    └── TrustError                   never use the answer: the storage server tampered with the data, or lost some
        ├── CellDamagedError             a cell was changed, or moved from where it was stored
        ├── AnswerInconsistentError      a cell was returned unrequested, out of order or twice
        └── CellsMissingError            cells that were stored were withheld

A proxy newer than this SDK may give a reason that is not listed. The group of its status is raised then, so
`except TrustError` also covers reasons that do not exist yet.

    >>> try:
    ...     raise MalformedSubjectError("expected a MAC address", metadata={"field": "device"})
    ... except RequestError as error:
    ...     print(error, error.metadata["field"])
    expected a MAC address device
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that violates a rule.

    Attributes:
        field: The field's name in the contract, e.g. "interval.end".
        description: The rule, e.g. "expected a duration of at least 1 ms".
    """

    field: str
    description: str


class PrivacyPleaseError(Exception):
    """Root of all errors that the SDK raises, except `ValueError` for arguments that cannot be sent at all.

    Attributes:
        message: What was expected and what happened instead. Never holds a key or a record.
        reason: The name in `privacyplease.proxy.v1.ErrorReason`; empty if the proxy gave none.
        metadata: Details for programs, e.g. {"field": "device"}.
        violations: The fields at fault, if the request is at fault.
        retry_after_s: How long to wait before trying again; None if the proxy does not specify it.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = violations
        self.retry_after_s = retry_after_s


class RequestError(PrivacyPleaseError):
    """The request is at fault. Fix it: unchanged, it fails again."""


class InvalidRequestError(RequestError):
    """A field violates a rule of the contract; `violations` names it."""


class MalformedSubjectError(RequestError):
    """The device is not in the data set's notation: "aa:bb:cc:dd:ee", for example, is not a MAC address."""


class InvalidIntervalError(RequestError):
    """The interval ends before it starts, or is outside the years 1970 to 9999."""


class UnknownDatasetError(RequestError):
    """No data set with this name is defined, or it cannot answer this question."""


class UnknownColumnError(RequestError):
    """A requested column does not exist in the data set."""


class PredicateTooLargeError(RequestError):
    """The question touches more than a single question may. Ask for a shorter range."""


class MalformedBatchError(RequestError):
    """An ingested batch cannot be read. What was acknowledged before it remains stored."""


class RefusedError(PrivacyPleaseError):
    """The policy does not allow this to the caller. An administrator can change the policy."""


class PermissionDeniedError(RefusedError):
    """The caller lacks the role `metadata["role"]`, or it does not cover the field `metadata["field"]`."""


class PurposeRequiredError(RefusedError):
    """A question about a person was asked without a purpose, or with one that the caller may not state."""


class LimitExceededError(RefusedError):
    """The question exceeds the caller's limits; `violations` names the field."""


class TryAgainError(PrivacyPleaseError):
    """Nothing is wrong with the request. Try again later."""


class ProxyUnreachableError(TryAgainError):
    """No proxy answers at the address."""


class StorageUnavailableError(TryAgainError):
    """The proxy answers, but the storage server or its database is unavailable."""


class TrustedStoreUnavailableError(TryAgainError):
    """The proxy answers, but its trusted store is unavailable, or its disk full; what was acknowledged is stored."""


class OverloadedError(TryAgainError):
    """The proxy is at capacity and did not start the call. Try again after `retry_after_s`."""


class ProxyStoppingError(TryAgainError):
    """The proxy is shutting down. What it acknowledged is durable."""


class StreamIdleError(TryAgainError):
    """The proxy closed an ingest stream because nothing was sent on it. Everything sent before is acknowledged."""


class MasterKeyUnavailableError(TryAgainError):
    """The proxy runs, but the HSM, vault or KMS that holds its master key cannot be reached or is sealed."""


class DeadlineExceededError(TryAgainError):
    """There was no answer before the deadline."""


class RateLimitedError(TryAgainError):
    """The caller has made as many calls as the policy allows for now.

    `metadata["retry_seconds"]` is the time to wait.
    """


class FaultError(PrivacyPleaseError):
    """The system is at fault. Report it to its operator: trying again does not help."""


class KeyUnavailableError(FaultError):
    """A key that the question needs cannot be opened: the keyring is damaged, or belongs to another master key."""


class CertificateError(FaultError):
    """Client and proxy do not accept each other's certificates, or the client's files cannot be used.

    A name or a date that does not fit is in the message. A proxy that does not accept a certificate closes the
    connection without saying why: the certificate is missing, or was issued by another CA.
    """


class WrongPassphraseError(FaultError):
    """The proxy runs, but its passphrase does not open its keys. It answers nothing until it has the right one."""


class AuditUnavailableError(FaultError):
    """The proxy cannot write its audit log, so it answers no call that must be recorded."""


class RolledBackError(FaultError):
    """The proxy's trusted store is older than the version known to the storage server or a witness.

    No question is answered and nothing is stored until an administrator decides what to do. `metadata` has the store's
    `version` and the `known` one.
    """


class ApprovalRequiredError(RefusedError):
    """A second person has to approve, by the number in `metadata["approval"]`; then the same call succeeds once."""


class NotExportedError(RefusedError):
    """The proxy runs on an exported keyring: it only counts people, and only in the interval that was exported."""


class MasterKeyRefusedError(FaultError):
    """The HSM, vault or KMS refuses the master key: it was disabled or deleted, or the permission was revoked."""


class StorageRefusedError(FaultError):
    """The storage server refused what the proxy sent: the two are not compatible."""


class InternalError(FaultError):
    """The proxy itself failed. Its log has the details under `metadata["id"]`."""


class TrustError(PrivacyPleaseError):
    """The storage server's answer is not what was stored. No part of it is returned, and none may be used."""


class CellDamagedError(TrustError):
    """A cell is not the one that was stored: it was changed, or moved from where it was stored."""


class AnswerInconsistentError(TrustError):
    """A cell was returned unrequested, out of order or twice."""


class CellsMissingError(TrustError):
    """Cells that were stored were withheld."""
