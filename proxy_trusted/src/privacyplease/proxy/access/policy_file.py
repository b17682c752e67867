"""The policy file: created on first use, reloaded when it changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from privacyplease.proxy.access.policy import Policy, parse
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.records.dataset import Dataset

LOOK_AGAIN_SECONDS = 1.0

_Stamp = tuple[int, int, int] | None

_log = logging.getLogger(__name__)


class PolicyFile:
    """Gives the policy in force. Safe to use from many threads.

    A changed file takes effect within a second. If it is invalid or missing, the previous policy stays in force, so a
    typing error can neither widen access nor end it.

    Attributes:
        problem: What is wrong with the current file; "" if nothing is.
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
        self._policy = self._read()
        self.problem = ""
        self.loaded_at = time.time()

    def current(self) -> Policy:
        """The policy in force."""
        if self._clock() - self._looked_at >= LOOK_AGAIN_SECONDS:
            with self._lock:
                self._look_again()
        return self._policy

    def _look_again(self) -> None:
        self._looked_at = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp  # taken before reading: a change made meanwhile is seen next time
        try:
            self._policy, self.problem, self.loaded_at = self._read(), "", time.time()
            _log.info("%s: policy reloaded", self._path)
        except ConfigurationError as error:
            self.problem = str(error)
            _log.error("%s; the previous policy stays in force", error)

    def _read(self) -> Policy:
        try:
            return parse(self._path.read_text(encoding="utf-8"), self._datasets)
        except (ConfigurationError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._path}: {error}") from error
        except OSError as error:
            raise ConfigurationError(f"{self._path}: cannot be read: {error.strerror}") from error


def _stamp(path: Path) -> _Stamp:
    """A value that changes when the file does; None if the file is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
