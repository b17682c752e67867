"""An audit log in a folder of its own, with the trusted store that holds its anchor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from privacyplease.proxy.audit.files import files
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.trusted_store import store as trusted_store

MASTER = LocalMasterKey(Key(bytes(range(32))))


class LogFolder:
    """A log in its own folder, which can be opened repeatedly."""

    def __init__(self, folder: Path, master: LocalMasterKey = MASTER) -> None:
        self.store: Engine = trusted_store.open_store(folder / "trusted.db")
        self.folder = folder / "audit"
        self.keyring = Keyring(self.store, master)

    def open(self, **more: Any) -> AuditLog:
        return AuditLog(self.folder, self.store, self.keyring, **more)

    def lines(self) -> list[bytes]:
        return [line for file in files(self.folder) for line in file.read_bytes().splitlines(keepends=True)]

    def write(self, lines: list[bytes]) -> None:
        """Replaces all lines, in one file."""
        first, *others = files(self.folder)
        for file in others:
            file.unlink()
        first.write_bytes(b"".join(lines))
