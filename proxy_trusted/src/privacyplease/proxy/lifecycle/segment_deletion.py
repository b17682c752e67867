"""Deleting segments that may not be asked for any more: from the server first, and then from the manifest.

In this order, so that an interrupted deletion can be repeated: as long as a row exists, its tags are known.
"""

from __future__ import annotations

from collections.abc import Sequence

from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, removals
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import StorageClient

# How many segments are removed in one transaction, which blocks questions.
_TOGETHER = 512


class SegmentDeleter:
    """Deletes segments. Safe to use from many threads."""

    def __init__(self, manifest: Manifest, cells: Cells, storage: StorageClient) -> None:
        self._manifest = manifest
        self._cells = cells
        self._storage = storage

    def delete(self, rows: Sequence[ManifestRow]) -> int:
        """Deletes RETIRED segments that no question is reading, and publishes a head without them.

        Returns:
            How many cells the server says it deleted.

        Raises:
            StorageError: The server did not answer. Repeating the call is safe.
            KeyUnavailableError: The key of a segment is gone, or cannot be unwrapped.
        """
        deleted = 0
        for begin in range(0, len(rows), _TOGETHER):
            batch = rows[begin : begin + _TOGETHER]
            deleted += self._storage.delete(self._tags(batch))
            self._manifest.commit(Change(removed=removals(batch)))
        published = self._manifest.commit(Change(), announced=True)
        if published.head:
            self._storage.append([published.head])
        if published.outdated:
            self._storage.delete(published.outdated)
        return deleted

    def _tags(self, rows: Sequence[ManifestRow]) -> list[Tag]:
        return [tag for group in Group for tag in self._cells.tags(rows, group)]
