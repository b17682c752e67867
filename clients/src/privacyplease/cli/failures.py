"""Failures as the user sees them: what happened, what to do about it, and the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import typer

from privacyplease.cli.exit_codes import ExitCode

_Value = TypeVar("_Value")


class CommandError(Exception):
    """A command cannot continue.

    Attributes:
        message: What happened, in one line.
        hint: What to do about it: any number of lines.
        code: What to exit with.
    """

    def __init__(self, message: str, hint: str = "", code: ExitCode = ExitCode.FAULT) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


@dataclass(frozen=True)
class Failure:
    """What to show, and what to exit with."""

    message: str
    hint: str
    code: int


def failure_of(error: Exception) -> Failure | None:
    """What to show for an error; None if it is unexpected, since a traceback then helps more."""
    if isinstance(error, CommandError):
        return Failure(error.message, error.hint, error.code)
    if isinstance(error, typer.TyperException):
        return Failure(error.format_message(), "add --help to the command to see what it accepts", error.exit_code)
    if isinstance(error, OSError):
        return Failure(_message_of_os_error(error), "", ExitCode.FAULT)
    return _failure_of_sdk(error)


def _message_of_os_error(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _failure_of_sdk(error: Exception) -> Failure | None:
    # Imported here because it is slow: whatever raised an error of the SDK has loaded it already.
    from privacyplease.client import errors

    if not isinstance(error, errors.PrivacyPleaseError):
        return None
    fields = [f"{v.field}: {v.description}" for v in error.violations]
    repeated = any(v.description == error.message for v in error.violations)
    groups: Mapping[type[Exception], ExitCode] = {
        errors.RequestError: ExitCode.REFUSED,
        errors.RefusedError: ExitCode.REFUSED,
        errors.TryAgainError: ExitCode.TRY_AGAIN,
        errors.TrustError: ExitCode.UNTRUSTED,
        errors.PrivacyPleaseError: ExitCode.FAULT,
    }
    message = "\n".join([*([] if repeated else [error.message]), *fields])
    return Failure(message, _hint(error), _first(groups, error) or ExitCode.FAULT)


def _hint(error: Exception) -> str:
    from privacyplease.client import errors

    hints: Mapping[type[Exception], str] = {
        errors.MalformedSubjectError: "write the device as aa:bb:cc:dd:ee:ff",
        errors.InvalidIntervalError: "--from must not be later than --to",
        errors.RequestError: "add --help to the command to see what it accepts",
        errors.PredicateTooLargeError: "ask about a shorter range",
        errors.PermissionDeniedError: "`privacyplease whoami` shows what the policy allows you",
        errors.ApprovalRequiredError: "somebody with the role approver grants it by `privacyplease approvals grant`; "
        "then run the same command again",
        errors.PurposeRequiredError: "state why you ask with --purpose TEXT; `privacyplease whoami` lists purposes",
        errors.LimitExceededError: "`privacyplease whoami` shows how much you may ask for at once",
        errors.RateLimitedError: "`privacyplease whoami` shows how often you may ask",
        errors.ProxyUnreachableError: "start it with `privacyplease up`, or give its address with --proxy HOST:PORT",
        errors.StorageUnavailableError: "`privacyplease status` shows the state of the storage server",
        errors.TrustedStoreUnavailableError: "tell the operator of the proxy that its --trusted-store does not answer",
        errors.OverloadedError: "the proxy is busy; try again in a few seconds",
        errors.ProxyStoppingError: "try again when the proxy has restarted",
        errors.DeadlineExceededError: "ask about a shorter range, or check `privacyplease status`",
        errors.CertificateError: "`privacyplease certs show` lists certificates and when they expire; "
        "give the folder of another one with --certificates DIR",
        errors.WrongPassphraseError: "start the proxy with the passphrase that its home was created with",
        errors.RolledBackError: "the operator can bring the newer home back, or decide to continue from this one: "
        "`privacyplease restore --accept`, which is `python -m privacyplease.proxy.backup --home DIR accept`",
        errors.NotExportedError: "ask the person who exported the keyring for one that covers this question",
        errors.FaultError: "the proxy's log has the details: run/proxy.log in the home that `up` was given",
        errors.TrustError: "discard the answer, leave the store as it is, and report this to the operator",
    }
    return _first(hints, error) or ""


def _first(table: Mapping[type[Exception], _Value], error: Exception) -> _Value | None:
    """The entry of the error's class, or else of the nearest class above it."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)
