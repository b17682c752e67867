"""What can go wrong, drawn by what the caller can do about it.

    PrivacyPleaseError
    ├── RequestError                 mend the request: sent again as it is, it fails again
    │   ├── InvalidRequestError          a field breaks a rule of the contract; `violations` names it
    │   ├── MalformedSubjectError        the device is not written as devices are
    │   ├── InvalidIntervalError         the interval ends before it starts
    │   ├── UnknownDatasetError          no such data set, or it cannot answer this question
    │   ├── UnknownColumnError           no such column
    │   ├── PredicateTooLargeError       too much at once: ask for a shorter range
    │   └── MalformedBatchError          an ingested batch cannot be read at all
    ├── RefusedError                 ask whoever answers for the policy: it does not allow this
    │   ├── PermissionDeniedError        the role is missing, or does not extend to what was asked
    │   ├── PurposeRequiredError         no purpose was stated, or none that may be
    │   ├── LimitExceededError           the question is larger than ours may be; `violations` names the field
    │   └── NotExportedError             the proxy runs on an exported keyring, which was not made for this
    ├── TryAgainError                try again: nothing is wrong with the request
    │   ├── ProxyUnreachableError        nobody answers at the proxy's address
    │   ├── StorageUnavailableError      the storage server or its database is away
    │   ├── TrustedStoreUnavailableError  the database that proxies share is away
    │   ├── OverloadedError              the proxy has enough to do; `retry_after_s` says when to come back
    │   ├── ProxyStoppingError           the proxy is being stopped
    │   ├── StreamIdleError              an ingest stream ended because nothing was sent on it
    │   ├── MasterKeyUnavailableError    the HSM, vault or KMS that holds the master key is away
    │   ├── DeadlineExceededError        no answer in time
    │   └── RateLimitedError             as many calls as are allowed for now; `metadata` has retry_seconds
    ├── FaultError                   tell whoever runs the system: trying again does not help
    │   ├── KeyUnavailableError          the keyring is damaged or belongs to another master key
    │   ├── CertificateError             the certificate is missing, expired or a stranger's: ours, or the proxy's
    │   ├── WrongPassphraseError         the proxy runs, but with a passphrase that does not open its keys
    │   ├── AuditUnavailableError        what must be recorded cannot be, so it is not answered
    │   ├── RolledBackError              the trusted store is older than somebody knows it; an administrator decides
    │   ├── MasterKeyRefusedError        the HSM, vault or KMS refuses to use the master key
    │   ├── StorageRefusedError          proxy and storage server do not fit together
    │   └── InternalError                a fault of the proxy; its log has the details
    └── TrustError                   never use the answer: the storage server tampered with the data, or lost some
        ├── CellDamagedError             a cell was changed, or moved from where it was stored
        ├── AnswerInconsistentError      a cell came that was not asked for, out of order or twice
        └── CellsMissingError            cells that were stored were withheld

A proxy newer than this SDK may give a reason that is not here. The group that its status belongs to is raised then, so
`except TrustError` also holds for reasons still to be invented.

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
    """A field of the request that breaks a rule.

    Attributes:
        field: The field's name in the contract, as "interval.end".
        description: The rule, as "expected a duration of at least 1 ms".
    """

    field: str
    description: str


class PrivacyPleaseError(Exception):
    """Root of all errors that the SDK raises, except `ValueError` for arguments that it cannot even send.

    Attributes:
        message: What was expected and what came. Never holds a key or a record.
        reason: The name in `privacyplease.proxy.v1.ErrorReason`; empty if the proxy gave none.
        metadata: What the proxy adds for programs, as {"field": "device"}.
        violations: The fields at fault, if the request is.
        retry_after_s: How long to wait before trying again; None if the proxy does not say.
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
    """The request is at fault. Mend it: sent again as it is, it fails again."""


class InvalidRequestError(RequestError):
    """A field breaks a rule of the contract; `violations` names it."""


class MalformedSubjectError(RequestError):
    """The device is not written as the data set's devices are, as "aa:bb:cc:dd:ee" is no MAC address."""


class InvalidIntervalError(RequestError):
    """The interval ends before it starts, or lies outside the years 1970 to 9999."""


class UnknownDatasetError(RequestError):
    """No data set of that name is defined, or it cannot answer this question."""


class UnknownColumnError(RequestError):
    """A column asked for does not exist in the data set."""


class PredicateTooLargeError(RequestError):
    """The question touches more than one question may. Ask for a shorter range."""


class MalformedBatchError(RequestError):
    """An ingested batch cannot be read at all. What was acknowledged before it stays stored."""


class RefusedError(PrivacyPleaseError):
    """The policy does not allow the caller this. Whoever answers for it can change it."""


class PermissionDeniedError(RefusedError):
    """The caller lacks `metadata["role"]`, or it does not extend to what `metadata["field"]` names."""


class PurposeRequiredError(RefusedError):
    """A question about a person was asked without a purpose, or for one that the caller may not state."""


class LimitExceededError(RefusedError):
    """The question is larger than the caller's may be; `violations` names the field."""


class TryAgainError(PrivacyPleaseError):
    """Nothing is wrong with the request. Try again later."""


class ProxyUnreachableError(TryAgainError):
    """Nobody answers at the proxy's address."""


class StorageUnavailableError(TryAgainError):
    """The proxy answers, but the storage server or its database is away."""


class TrustedStoreUnavailableError(TryAgainError):
    """The proxy answers, but the database that it shares with other proxies is away."""


class OverloadedError(TryAgainError):
    """The proxy has as much to do as it can and did nothing. Try again after `retry_after_s`."""


class ProxyStoppingError(TryAgainError):
    """The proxy is being stopped. What it acknowledged is durable."""


class StreamIdleError(TryAgainError):
    """The proxy ended an ingest stream because nothing was sent on it. What was sent is acknowledged."""


class MasterKeyUnavailableError(TryAgainError):
    """The proxy runs, but the HSM, vault or KMS that holds its master key cannot be reached or is sealed."""


class DeadlineExceededError(TryAgainError):
    """No answer came in time."""


class RateLimitedError(TryAgainError):
    """The caller has made as many calls as the policy allows for now.

    `metadata["retry_seconds"]` tells how long to wait.
    """


class FaultError(PrivacyPleaseError):
    """The system is at fault. Tell whoever runs it: trying again does not help."""


class KeyUnavailableError(FaultError):
    """The key that the question needs does not open: a damaged keyring, or that of another master key."""


class CertificateError(FaultError):
    """The two ends do not accept each other's certificates, or the files of ours cannot be used.

    A proxy that does not accept a certificate closes the connection and does not say why: there is none, it has
    expired, or another CA made it.
    """


class WrongPassphraseError(FaultError):
    """The proxy runs, but its passphrase does not open its keys. It answers nothing until it has the right one."""


class AuditUnavailableError(FaultError):
    """The proxy cannot write its audit log, so it answers nothing that must be recorded."""


class RolledBackError(FaultError):
    """The proxy's trusted store is older than the storage server or a witness knows it. An administrator decides.

    Until then nothing is answered and nothing stored. `metadata` has its `version`, and the one that is `known`.
    """


class NotExportedError(RefusedError):
    """The proxy runs on an exported keyring: it counts people in the interval that was exported, and no more."""


class MasterKeyRefusedError(FaultError):
    """The HSM, vault or KMS refuses to use the master key: it was disabled, deleted, or the permission revoked."""


class StorageRefusedError(FaultError):
    """The storage server refused what the proxy sent: the two do not fit together."""


class InternalError(FaultError):
    """A fault of the proxy itself. Its log has the details under `metadata["id"]`."""


class TrustError(PrivacyPleaseError):
    """The storage server's answer is not what was stored. No part of it is given, and none may be used."""


class CellDamagedError(TrustError):
    """A cell is not the one that was stored: it was changed, or moved from where it was stored."""


class AnswerInconsistentError(TrustError):
    """A cell came that was not asked for, out of order or twice."""


class CellsMissingError(TrustError):
    """Cells that were stored were withheld."""
