"""What goes wrong, as the user reads it: what happened, what to do about it, and the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import typer

from privacyplease.cli.exits import ExitCode

_Value = TypeVar("_Value")


class CommandError(Exception):
    """A command cannot go on.

    Attributes:
        message: What happened, in a line.
        hint: What to do about it; may have several lines, or none.
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
    """What to show for an error, or None if it is none that was foreseen: a traceback helps more then."""
    if isinstance(error, CommandError):
        return Failure(error.message, error.hint, error.code)
    if isinstance(error, typer.TyperException):
        return Failure(error.format_message(), "add --help to the command to see how it is used", error.exit_code)
    if isinstance(error, OSError):
        return Failure(_of_a_file(error), "", ExitCode.FAULT)
    return _failure_of_sdk(error)


def _of_a_file(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _failure_of_sdk(error: Exception) -> Failure | None:
    # Imported here: where such an error was raised, the SDK is loaded; elsewhere it need not be.
    from privacyplease.client import errors

    if not isinstance(error, errors.PrivacyPleaseError):
        return None
    fields = [f"{v.field}: {v.description}" for v in error.violations]
    said = any(v.description == error.message for v in error.violations)
    groups: Mapping[type[Exception], ExitCode] = {
        errors.RequestError: ExitCode.REFUSED,
        errors.RefusedError: ExitCode.REFUSED,
        errors.TryAgainError: ExitCode.TRY_AGAIN,
        errors.TrustError: ExitCode.UNTRUSTED,
        errors.PrivacyPleaseError: ExitCode.FAULT,
    }
    return Failure(
        "\n".join([*([] if said else [error.message]), *fields]), _hint(error), _first(groups, error) or ExitCode.FAULT
    )


def _hint(error: Exception) -> str:
    from privacyplease.client import errors

    hints: Mapping[type[Exception], str] = {
        errors.MalformedSubjectError: "write the device as aa:bb:cc:dd:ee:ff",
        errors.InvalidIntervalError: "--from must not be later than --to",
        errors.RequestError: "add --help to the command to see how it is used",
        errors.PredicateTooLargeError: "ask for a shorter range",
        errors.PermissionDeniedError: "`privacyplease whoami` shows what the policy allows you",
        errors.PurposeRequiredError: "state why you ask with --purpose TEXT; `privacyplease whoami` shows what you may",
        errors.LimitExceededError: "`privacyplease whoami` shows how much you may ask for at once",
        errors.RateLimitedError: "`privacyplease whoami` shows how often you may ask",
        errors.ProxyUnreachableError: "start it with `privacyplease up`, or give its address with --proxy HOST:PORT",
        errors.StorageUnavailableError: "`privacyplease status` shows how the storage server is doing",
        errors.TrustedStoreUnavailableError: "tell whoever runs the proxy: its --trusted-store does not answer",
        errors.OverloadedError: "others are asking; try again in a few seconds",
        errors.ProxyStoppingError: "try again when the proxy is back",
        errors.DeadlineExceededError: "ask for a shorter range, or see `privacyplease status`",
        errors.CertificateError: "`privacyplease certs show` tells which there are and when they expire; "
        "give the folder of another with --certificates DIR",
        errors.WrongPassphraseError: "start the proxy with the passphrase that its home was made with",
        errors.RolledBackError: "whoever runs the proxy can bring the newer home back, or decide to go on: "
        "`privacyplease restore --accept`, which is `python -m privacyplease.proxy.backup --home DIR accept`",
        errors.NotExportedError: "ask whoever exported the keyring for one that is made for this",
        errors.FaultError: "the proxy's log has the details: run/proxy.log in the home that `up` was given",
        errors.TrustError: "use no part of the answer; keep the store as it is and tell whoever answers for it",
    }
    return _first(hints, error) or ""


def _first(table: Mapping[type[Exception], _Value], error: Exception) -> _Value | None:
    """The entry of the error's class, or else of the nearest class above it."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)
