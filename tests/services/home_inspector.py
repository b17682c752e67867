"""Looks into a proxy's home: its keys and its manifest, read while the proxy runs.

Example:
    with inspecting(home) as inspector:
        assert inspector.strays(database) == set()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, func, select

from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import described_by, folder_in_force
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKeys
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store import tables
from tests.services.proxy import PASSPHRASE
from tests.services.tampering import Database


class HomeInspector:
    """Reads what a proxy knows.

    Attributes:
        keyring: Its keys.
        manifest: Its segments.
    """

    def __init__(self, home: Home, store: Engine) -> None:
        """Opens the keys and the manifest of a home."""
        folder = folder_in_force(store)
        described = described_by(home, folder)
        epoch_keys = EpochKeyHolders(home).open(store, described.master_key_choice)
        self.keyring = Keyring(store, described.master_key(PASSPHRASE), folder, epoch_keys)
        self.manifest = Manifest(store, self.keyring)
        nowhere = StorageClient.connect("127.0.0.1:1")  # never called
        self._cells = Cells(nowhere, self.keyring)
        self._destroyed = DestroyedKeys(self.manifest, nowhere, self.keyring)
        self._store = store

    def rows(self, *states: SegmentState, dataset: str = "wifi") -> list[ManifestRow]:
        """Segments in any of the states, ascending by number; in any state if none is given."""
        return self.manifest.rows(dataset, *states)

    def tags(self, rows: Iterable[ManifestRow], *groups: Group) -> list[Tag]:
        """The tags of groups of some segments; of all groups if none is given."""
        chosen = list(rows)
        return [tag for group in groups or Group for tag in self._cells.tags(chosen, group)]

    def heads(self) -> set[Tag]:
        """The tags of all heads that were ever sent."""
        return set(self.manifest.heads.tags(range(self.manifest.head().sequence + 1)))

    def cells(self, database: Database) -> list[Tag]:
        """The tags of all stored cells except heads."""
        listed = self._destroyed.tags(range(1, self.manifest.head().destroyed + 1))
        others = self.heads() | {*listed}
        return [Tag(row.tag) for row in database.rows() if row.tag not in others]

    def strays(self, database: Database) -> set[Tag]:
        """Cells that are stored without a row, or the other way round. No flush and no compaction may be running."""
        return set(self.cells(database)) ^ set(self.tags(self.rows()))

    def leases(self) -> int:
        """How many epochs are leased for compaction."""
        with self._store.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(tables.claims)) or 0)


@contextmanager
def inspecting(home: Home, shared: str | None = None) -> Iterator[HomeInspector]:
    """Inspects a home, or the shared trusted store of a URL, for as long as the block lasts."""
    store = trusted_store.open_url(shared) if shared else trusted_store.open_store(home.trusted_store)
    try:
        yield HomeInspector(home, store)
    finally:
        store.dispose()
