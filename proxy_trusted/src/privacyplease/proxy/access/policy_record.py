"""The record of the policy in force, in the home's own store.

Whoever can write to the home can change the policy file, also while the proxy is stopped. The record carries an HMAC
under a key of the keyring (RFC 2104), so that it cannot be forged without the master key. An earlier record, put back,
has an HMAC too: so the audit log, whose lines are chained, says which record is the newest.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import NamedTuple

from sqlalchemy import Engine, select

from privacyplease.proxy.access.policy import Revoked
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.audit.reader import KEY, OWNER
from privacyplease.proxy.documents import from_json
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.derivation import context
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import policies
from privacyplease.proxy.trusted_store.upsert import upsert

EVENT = "policy"
LABEL = b"privacyplease/v2/policy"

OFFLINE = "python -m privacyplease.proxy.access --home DIR"


class PolicyText(NamedTuple):
    """A policy as it is recorded.

    Attributes:
        text: The content of the policy file.
        revoked: Who was shut out by a later file of which nothing else is in force.
    """

    text: str
    revoked: Revoked = Revoked()

    def encoded(self) -> bytes:
        """As bytes, the same for the same policy."""
        names, certificates = sorted(self.revoked.names), sorted(self.revoked.certificates)
        return json.dumps({"policy": self.text, "names": names, "certificates": certificates}).encode()

    @classmethod
    def decoded(cls, encoded: bytes) -> PolicyText:
        """From authenticated bytes."""
        read = from_json(encoded)
        return cls(read["policy"], Revoked(frozenset(read["names"]), frozenset(read["certificates"])))

    @property
    def digest(self) -> str:
        """SHA-256 of the policy file, as `sha256sum` prints it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class PolicyRecord:
    """Keeps the policy in force, and says in the audit log what came into force."""

    def __init__(self, store: Engine, keyring: Keyring, log: AuditLog) -> None:
        """Initialises the record.

        Args:
            store: The home's own store.
            keyring: Has the key.
            log: The home's audit log.

        Raises:
            KeyringError: The key is unavailable.
        """
        self._store, self._log = store, log
        self._key = keyring.derived(OWNER, KEY, LABEL)

    def read(self) -> PolicyText | None:
        """The policy in force; None if this home never had one.

        Raises:
            ConfigurationError: It was removed, changed, or replaced by an earlier one.
        """
        with self._store.connect() as connection:
            row = connection.execute(select(policies)).one_or_none()
        newest = self._log.newest(EVENT)
        if row is None:
            if self._log.empty:
                return None
            raise self._refused("none")
        encoded = bytes(row.policy)
        if not hmac.compare_digest(self._mac(encoded), bytes(row.mac)):
            raise self._refused("one that was changed")
        if newest is not None and newest.get("record") != _identifier(encoded):
            raise self._refused("another than the audit log names")
        return PolicyText.decoded(encoded)

    def write(self, policy: PolicyText, why: str, who: str = "") -> None:
        """Puts a policy in force, once the audit log has it.

        Args:
            policy: The policy.
            why: Why it comes into force, for the log.
            who: Who has approved it, for the log.

        Raises:
            AuditUnavailableError: The log cannot be written. The policy is not in force.
        """
        encoded = policy.encoded()
        entry = {"event": EVENT, "who": who, "reason": f"{why} sha256 {policy.digest}", "record": _identifier(encoded)}
        self._log.record({name: value for name, value in entry.items() if value})
        put = upsert(self._store.dialect, policies, lambda new: {"policy": new.policy, "mac": new.mac})
        with writing(self._store) as connection:
            connection.execute(put, {"one": 1, "policy": encoded, "mac": self._mac(encoded)})

    def _mac(self, encoded: bytes) -> bytes:
        return hmac.digest(self._key.reveal(), context(LABEL, encoded), "sha256")

    def _refused(self, got: str) -> ConfigurationError:
        message = f"expected the record of the policy in force, got {got}"
        return ConfigurationError(f"{message}; to put the file in force: {OFFLINE} (docs/POLICY.md)")


def _identifier(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()
