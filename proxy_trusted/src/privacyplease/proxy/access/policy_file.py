"""The policy file: created on first use, looked at again when it changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from privacyplease.proxy.access.policy import Policy, parse
from privacyplease.proxy.access.policy_approval import PolicyApproval
from privacyplease.proxy.errors import AuditUnavailableError, ConfigurationError
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.records.dataset import Dataset

LOOK_AGAIN_SECONDS = 1.0

_Stamp = tuple[int, int, int] | None

_log = logging.getLogger(__name__)


class PolicyFile:
    """Gives the policy in force. Safe to use from many threads.

    A changed file takes effect within a second, or once it is approved. If it is invalid or missing, the previous
    policy stays in force, so a typing error can neither widen access nor end it.

    Attributes:
        problem: Why the current file is not in force; "" if it is.
        loaded_at: When the policy in force was loaded, in seconds since 1970.
    """

    def __init__(
        self, path: Path, datasets: Mapping[str, Dataset], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the file, or creates it.

        Raises:
            ConfigurationError: The policy is wrong; the message names file and entry.
        """
        self._path = path
        self._datasets = datasets
        self._clock = clock
        self._lock = threading.Lock()
        if not path.exists():
            masterkey.write_secret(path, resources.files(__package__).joinpath("policy.toml").read_text())
        self._stamp, self._looked_at = _stamp(path), clock()
        self._text, self._policy = self._read()
        self._approval: PolicyApproval | None = None
        self.problem = ""
        self.loaded_at = time.time()

    def hold(self, approval: PolicyApproval) -> None:
        """From now on a changed file is in force only as far as the approval admits it.

        Raises:
            ConfigurationError: The file cannot be in force.
        """
        with self._lock:
            try:
                self.problem = approval.begin(self._text, self._policy)
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._path}: {error}") from error
            except AuditUnavailableError as error:
                self.problem = str(error)
            self._approval, self._policy = approval, approval.policy
            self._log_problem()

    def current(self) -> Policy:
        """The policy in force."""
        if self._clock() - self._looked_at >= LOOK_AGAIN_SECONDS:
            with self._lock:
                self._look_again()
        return self._policy

    def _look_again(self) -> None:
        self._looked_at = self._clock()
        stamp, before = _stamp(self._path), self.problem
        changed = stamp != self._stamp
        if not changed and not (self.problem and self._approval):
            return
        self._stamp = stamp  # taken before reading: a change made meanwhile is seen next time
        try:
            self.problem = self._admit(*self._read(), changed=changed)
        except (ConfigurationError, AuditUnavailableError, SQLAlchemyError) as error:
            # A database's message may quote a row.
            unavailable = isinstance(error, SQLAlchemyError)
            self.problem = "the trusted store is unavailable" if unavailable else str(error)
        if self._approval:
            self._policy = self._approval.policy
        if self.problem != before:
            self._log_problem()

    def _admit(self, text: str, policy: Policy, *, changed: bool) -> str:
        """Puts a file in force as far as it is admitted; returns why not all of it is."""
        if self._approval is None:
            self._policy = policy
            problem = ""
        else:
            if changed:
                self._approval.forget()
            problem = self._approval.admit(text, policy)
        if not problem:
            self.loaded_at = time.time()
            _log.info("%s: policy reloaded", self._path)
        return problem

    def _log_problem(self) -> None:
        if self.problem:
            _log.error("%s; the previous policy stays in force", self.problem)

    def _read(self) -> tuple[str, Policy]:
        """The file's text, and the policy in it."""
        return read(self._path, self._datasets)


def read(path: Path, datasets: Mapping[str, Dataset]) -> tuple[str, Policy]:
    """The text of a policy file, and the policy in it.

    Raises:
        ConfigurationError: The policy is wrong; the message names file and entry.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text, parse(text, datasets)
    except (ConfigurationError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error


def _stamp(path: Path) -> _Stamp:
    """A value that changes when the file does; None if the file is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
