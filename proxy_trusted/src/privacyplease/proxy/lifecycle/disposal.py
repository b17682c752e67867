"""Disposal: segments that nobody may ask for any more go from the server, and then from the manifest.

In this order, so that whatever is cut short is done again: as long as a row is there, its tags are known.
"""

from __future__ import annotations

from collections.abc import Sequence

from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, removals
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import Storage

# How many segments go in one transaction, which holds up those who ask.
_TOGETHER = 512


class Disposal:
    """Deletes segments. Safe to use from many threads."""

    def __init__(self, manifest: Manifest, cells: Cells, storage: Storage) -> None:
        self._manifest = manifest
        self._cells = cells
        self._storage = storage

    def dispose(self, rows: Sequence[Row]) -> int:
        """Deletes segments that are RETIRED and that nobody is asking for, and publishes a head without them.

        Returns:
            How many cells the server says it deleted.

        Raises:
            StorageError: The server did not answer. To do it again is safe.
            KeyUnavailableError: The key of a segment is gone, or does not open.
        """
        deleted = 0
        for begin in range(0, len(rows), _TOGETHER):
            part = rows[begin : begin + _TOGETHER]
            deleted += self._storage.delete(self._tags(part))
            self._manifest.commit(Change(removed=removals(part)))
        published = self._manifest.commit(Change(), announced=True)
        if published.head:
            self._storage.append([published.head])
        if published.outdated:
            self._storage.delete(published.outdated)
        return deleted

    def _tags(self, rows: Sequence[Row]) -> list[Tag]:
        return [tag for group in Group for tag in self._cells.tags(rows, group)]
