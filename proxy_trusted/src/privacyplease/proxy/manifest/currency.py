"""Whether the manifest is the newest there is: asked of the storage server and of the witnesses, once.

A proxy that finds a newer head than its own has a trusted store that was rolled back, and answers nothing from it. It
is for an administrator to decide: bring the newer store back, or go on from the older one, as after a restore.
"""

from __future__ import annotations

import threading

from privacyplease.proxy.errors import RolledBackError
from privacyplease.proxy.manifest.head import Head, ahead_of
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.storage.client import Storage


class Currency:
    """Knows whether the manifest is current. Safe to use from many threads."""

    def __init__(self, manifest: Manifest, storage: Storage) -> None:
        self._manifest = manifest
        self._storage = storage
        self._known = False
        self._lock = threading.Lock()

    def require(self) -> None:
        """Passes if nobody has a newer head. Once that is known the manifest itself sees that it goes on only.

        Raises:
            RolledBackError: Somebody has.
            StorageError: The storage server cannot be asked.
        """
        if self._known:
            return
        with self._lock:
            if not self._known:
                # In this order: what another proxy over the store changes meanwhile, the store has before the others.
                newest, mine = self.newest_elsewhere(), self._manifest.head()
                if newest and newest.version > mine.version:
                    raise RolledBackError(
                        f"the trusted store is at version {mine.version:,} of its manifest, and version "
                        f"{newest.version:,} is known elsewhere: it was rolled back",
                        version=mine.version,
                        known=newest.version,
                    )
                if newest and newest.version == mine.version and newest.link != mine.link:
                    raise RolledBackError("the trusted store and its copy elsewhere went different ways")
                self._known = True

    def newest_elsewhere(self) -> Head | None:
        """The newest head that the storage server or a witness has, of those no older than the manifest's.

        Raises:
            StorageError: The storage server cannot be asked.
        """
        heads = self._manifest.heads
        found = [head for head in map(heads.open, self._manifest.witnesses.newest(heads.home)) if head]
        known, ahead = -1, self._manifest.head().sequence
        while ahead > known:  # of a home that is far behind the newest head is found in a few steps
            known = ahead
            came = self._storage.select(heads.tags({known, *ahead_of(known)}))
            found += [head for head in (heads.open(Cell(*cell)) for cell in came.items()) if head]
            ahead = max([known, *(head.sequence for head in found)])
        return max(found, key=lambda head: head.version, default=None)
