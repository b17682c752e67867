"""Modes of the files in the proxy's home: no other account of the machine may read secrets or change what may be asked.

Whoever reads `master.key` may guess the passphrase elsewhere, and a generated passphrase lies beside it; whoever reads
the store or the audit log knows what the storage server must not; whoever writes the policy lets themselves in.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.home import MASTER_FILES, Home

# Bits of a mode that must not be set: any access by the group or by others; writing by them.
OWNER_ONLY = 0o077
OWNER_WRITES = 0o022

_STORE = ("trusted.db", "trusted.db-wal", "trusted.db-shm")
_KEYS = ("epoch-keys", "epoch-keys/*", *MASTER_FILES, "master-*", *(f"master-*/{name}" for name in MASTER_FILES))
_AUDIT = ("audit", "audit/*")
_RULES = ("policy.toml", "datasets", "datasets/*.toml")


def require_private(home: Home) -> None:
    """Refuses a home that other accounts can read, or whose rules they can change.

    One with neither keys nor a store is new, though the operator may have put definitions there: it is closed instead.

    Raises:
        ConfigurationError: The file and its mode, and the command that closes the home.
    """
    if not home.path.exists():
        return
    if not any(_found(home, *_STORE, *_KEYS, *_AUDIT)):
        home.path.chmod(0o700)
    _require(home, [home.path, *_found(home, *_STORE, *_KEYS, *_AUDIT)], OWNER_ONLY, "read or change")
    _require(home, _found(home, *_RULES), OWNER_WRITES, "change")


def _found(home: Home, *patterns: str) -> Iterator[Path]:
    return (file for pattern in patterns for file in sorted(home.path.glob(pattern)))


def _require(home: Home, files: Iterable[Path], forbidden: int, what: str) -> None:
    for file in files:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & forbidden:
            message = f"{file}: expected mode {mode & ~forbidden:04o}, since others must not {what} it, got {mode:04o}"
            raise ConfigurationError(f"{message}; run: chmod -R go= {shlex.quote(str(home.path))}")
