"""A restore that waits until a second person has approved it.

An older home brings back what was forgotten since: destroyed keys, rights that were taken away.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from privacyplease.proxy.access.approvals import MACHINE, Approvals, State, Wanted
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.errors import (
    ApprovalRequiredError,
    AuditUnavailableError,
    ConfigurationError,
    InvalidRequestError,
    KeyringError,
    ProxyError,
)
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.lifecycle.restore import Restore, description, finish_restore

ACT = "Home/Restore"

_LOOK_AGAIN_SECONDS = 1.0
_TRY_AGAIN_SECONDS = 5.0

_log = logging.getLogger(__name__)


class RestoreApproval:
    """Asks for the approval of a restore, waits for it, and finishes the restore.

    Attributes:
        error: Why calls are refused meanwhile.
    """

    def __init__(self, home: Home, restore: Restore, log: AuditLog, approvals: Approvals) -> None:
        """Asks for the approval.

        Args:
            home: The home that was restored.
            restore: Runs the restore.
            log: The audit log.
            approvals: What second persons decide.

        Raises:
            ConfigurationError: It cannot be recorded that the restore waits, or too much waits already.
        """
        self._home, self._restore, self._audit, self._approvals = home, restore, log, approvals
        described = description(home, restore)
        digest = hashlib.sha256(ACT.encode() + b"\0" + home.restored.read_bytes() + described.encode()).digest()
        self._wanted = Wanted(ACT, digest, described, MACHINE)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="restore", daemon=True)
        self._approved, self._number, self._approved_by = False, 0, ""
        self.error: ProxyError = self._ask()
        try:
            log.record({"event": "restoring", "reason": f"waits as number {self._number}: {described}"})
        except AuditUnavailableError as error:
            raise ConfigurationError(f"{home.restored}: {error}") from error

    def start(self, required: Callable[[], bool], restored: Callable[[], None]) -> None:
        """Begins to wait.

        Args:
            required: Whether the approval is still required.
            restored: Called once, when the restore is finished.
        """
        self._required, self._restored = required, restored
        self._thread.start()

    def stop(self) -> None:
        """Waits no longer. A restore that runs is finished first."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_TRY_AGAIN_SECONDS if self._approved else _LOOK_AGAIN_SECONDS):
            try:
                self._approved = self._approved or not self._required() or self._is_granted()
                if self._approved:
                    finish_restore(self._home, self._restore, self._audit, self._approved_by)
                    self._restored()
                    return
            except (ConfigurationError, KeyringError, AuditUnavailableError) as error:
                _log.error("%s", error)
            except SQLAlchemyError as error:  # its message may quote a row
                _log.error("the trusted store is unavailable: %s", type(error).__name__)

    def _is_granted(self) -> bool:
        state = self._approvals.state(self._number)
        if state is State.DENIED:
            message = (
                f"the restore of this home was denied as number {self._number}; start the proxy again to ask again"
            )
            self.error = ApprovalRequiredError(message, approval=self._number)
        elif state is State.GRANTED:
            self._approved_by = self._approvals.use(self._wanted).decided_by
            return True
        elif state is State.EXPIRED:
            self.error = self._ask()
        return False

    def _ask(self) -> ApprovalRequiredError:
        """Asks for the approval, unless it waits already."""
        try:
            approval = self._approvals.use(self._wanted)
        except ApprovalRequiredError as error:
            self._number = int(error.metadata["approval"])
        except InvalidRequestError as error:  # too much waits already
            raise ConfigurationError(f"{self._home.restored}: {error}") from error
        else:  # granted before the proxy was started again
            self._approved = True
            self._number, self._approved_by = approval.number, approval.decided_by
        message = f"this home was restored; that waits for the approval of a second person, as number {self._number}"
        return ApprovalRequiredError(message, approval=self._number)
