"""The password file: a line `name:hash` for each user, hashed with Argon2id (RFC 9106, argon2-cffi's parameters)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST_CHARACTERS = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class PasswordFile:
    """The users who may log in with a password. The file is read again for each login."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hasher = PasswordHasher()
        # Verified against if the name is unknown, so that the response time does not reveal which names exist.
        self._unknown_user_hash = self._hasher.hash(os.urandom(16))

    def names(self) -> list[str]:
        """The users who have a password."""
        return sorted(self._hashes())

    def verify(self, name: str, password: str) -> bool:
        """Whether this is the user's password."""
        hashes = self._hashes()
        try:
            return self._hasher.verify(hashes.get(name, self._unknown_user_hash), password) and name in hashes
        except (VerificationError, InvalidHashError):
            return False

    def set(self, name: str, password: str) -> None:
        """Sets a user's password.

        Raises:
            ValueError: The name is not one that a policy may contain, or the password is too short.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"expected a name of at most 63 lowercase letters, digits, '.', '_' and '-', got {name!r}")
        if len(password) < LEAST_CHARACTERS:
            raise ValueError(f"expected a password of at least {LEAST_CHARACTERS} characters")
        self._write({**self._hashes(), name: self._hasher.hash(password)})

    def _hashes(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        lines = (line.partition(":") for line in self.path.read_text(encoding="utf-8").splitlines())
        return {name.strip(): hashed.strip() for name, _, hashed in lines if hashed}

    def _write(self, hashes: dict[str, str]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text("".join(f"{name}:{hashed}\n" for name, hashed in sorted(hashes.items())), encoding="utf-8")
        partial.replace(self.path)
