"""Reading and verifying the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from privacyplease.proxy.audit import chain
from privacyplease.proxy.audit.chain import open_line
from privacyplease.proxy.audit.files import files, lines
from privacyplease.proxy.audit.verify import NO_ANCHOR, Anchor, Verdict, verify
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store.tables import audit_anchor

# The log's data key is one of the keyring's. No data set has such a name, so it is erased with none.
OWNER, KEY = "/audit", KeyId(0)


class AuditReader:
    """Reads a log and verifies it."""

    def __init__(self, folder: Path, store: Engine, keyring: Keyring) -> None:
        """Initialises a reader.

        Args:
            folder: The folder of the log's files.
            store: Where the anchor is kept.
            keyring: Holds the log's key.

        Raises:
            KeyringError: The log's key is unavailable.
        """
        self._folder, self._store = folder, store
        self._chain_key, self._anchor_key, self._subject_key = (
            keyring.derived(OWNER, KEY, label) for label in (chain.CHAIN_LABEL, chain.ANCHOR_LABEL, chain.SUBJECT_LABEL)
        )

    def pseudonym(self, subject: str) -> str:
        """The pseudonym by which the log refers to a subject."""
        return chain.pseudonym(self._subject_key, subject)

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Every entry, oldest first, unverified."""
        opened = (open_line(stored.line) for stored in lines(self._folder))
        return (line.entry for line in opened if line)

    def newest(self, event: str) -> Mapping[str, Any] | None:
        """The newest entry of a kind, unverified; None if no file of the log has one."""
        # Quotes in what callers choose are escaped, so that only the member itself matches.
        member = f'"event":"{event}"'.encode()
        for file in reversed(files(self._folder)):
            content = file.read_bytes()
            if (found := content.rfind(member)) >= 0:
                begin, end = content.rfind(b"\n", 0, found) + 1, content.find(b"\n", found)
                line = open_line(content[begin : end if end >= 0 else None])
                return line.entry if line else None
        return None

    def verify(self) -> Verdict:
        """Checks all lines recorded before the call, and possibly later ones."""
        return verify(lines(self._folder), self._chain_key, self._anchor_key, self.remembered())

    def remembered(self) -> Anchor:
        """The anchor: the end of the log as the trusted store remembers it."""
        with self._store.connect() as connection:
            row = connection.execute(select(audit_anchor)).one_or_none()
        return Anchor(row.number, bytes(row.mac)) if row else NO_ANCHOR
