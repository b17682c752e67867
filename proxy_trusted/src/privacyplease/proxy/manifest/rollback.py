"""Rollback detection: whether the manifest is the newest, according to the storage server and the witnesses.

They are asked once. A proxy that finds a newer head than its own has a trusted store that was rolled back, and answers
nothing from it. An administrator must decide: bring the newer store back, or continue from the older one, as after a
restore.
"""

from __future__ import annotations

import threading

from privacyplease.proxy.errors import RolledBackError
from privacyplease.proxy.manifest.head import Head, ahead_of
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.storage.client import StorageClient


class RollbackCheck:
    """Checks that the manifest is the newest. Safe to use from many threads."""

    def __init__(self, manifest: Manifest, storage: StorageClient) -> None:
        self._manifest = manifest
        self._storage = storage
        self._passed = False
        self._lock = threading.Lock()

    def require_newest(self) -> None:
        """Passes if neither the storage server nor a witness has a newer head.

        It asks only until it has passed once; from then on the manifest itself refuses to go back.

        Raises:
            RolledBackError: One of them has a newer head.
            StorageError: The storage server cannot be asked.
        """
        if self._passed:
            return
        with self._lock:
            if not self._passed:
                # In this order: a change that another proxy makes meanwhile reaches the store before the others.
                newest, mine = self.newest_elsewhere(), self._manifest.head()
                if newest and newest.version > mine.version:
                    raise RolledBackError(
                        f"the trusted store is at version {mine.version:,} of its manifest, and version "
                        f"{newest.version:,} is known elsewhere: it was rolled back",
                        version=mine.version,
                        known=newest.version,
                    )
                if newest and newest.version == mine.version and newest.link != mine.link:
                    raise RolledBackError("the trusted store and its copy elsewhere have diverged")
                self._passed = True

    def newest_elsewhere(self) -> Head | None:
        """The newest head at the storage server or a witness, unless it is older than the manifest's.

        Raises:
            StorageError: The storage server cannot be asked.
        """
        heads = self._manifest.heads
        opened = [head for head in map(heads.open, self._manifest.witnesses.newest(heads.home)) if head]
        known, newest = -1, self._manifest.head().sequence
        while newest > known:  # a home that is far behind finds the newest head in a few steps
            known = newest
            cells = self._storage.select(heads.tags({known, *ahead_of(known)}))
            opened += [head for head in (heads.open(Cell(*cell)) for cell in cells.items()) if head]
            newest = max([known, *(head.sequence for head in opened)])
        return max(opened, key=lambda head: head.version, default=None)
