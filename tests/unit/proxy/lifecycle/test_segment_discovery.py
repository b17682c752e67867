"""Segments that the manifest does not know authenticate themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.keys.derivation import Key, KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.segment_discovery import SegmentDiscovery
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.records import tables
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import CellContext, Sealer
from privacyplease.proxy.segments.segment import SealedSegment, SegmentSealer
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.storage.client import StorageClient

NUMBER = SegmentId(7)
BEGINNING = datetime(2024, 10, 1, tzinfo=UTC)


@pytest.fixture
def key(keyring: Keyring, wifi: Dataset) -> KeyId:
    return keyring.ensure(wifi.name, 666)


@pytest.fixture
def segment(keyring: Keyring, wifi: Dataset, key: KeyId) -> SealedSegment:
    columns = {
        wifi.subject: [f"aa:bb:cc:dd:ee:{number:02x}" for number in range(10)],
        wifi.place: ["ap-35"] * 10,
        wifi.start: [BEGINNING + timedelta(minutes=number) for number in range(10)],
        wifi.duration: [60] * 10,
    }
    return SegmentSealer(keyring).seal(tables.check(pa.table(columns), wifi).records, wifi, key, NUMBER, settled=False)


def discovered_row(store: Engine, keyring: Keyring, wifi: Dataset, key: KeyId, cells: dict[Group, Cell]) -> ManifestRow:
    discovery = SegmentDiscovery(store, keyring, Manifest(store, keyring), cast("StorageClient", None))
    return discovery._row(wifi, key, NUMBER, cells)


def test_a_discovered_segment_is_added_as_it_was_sealed(
    store: Engine, keyring: Keyring, wifi: Dataset, key: KeyId, segment: SealedSegment
) -> None:
    row = discovered_row(store, keyring, wifi, key, {group: of.cell for group, of in segment.groups.items()})
    assert row.summary == segment.summary
    assert row.groups[Group.CORE] == (segment.groups[Group.CORE].size, segment.groups[Group.CORE].digest)
    assert {group: entry.size for group, entry in row.groups.items()} == {
        group: of.size for group, of in segment.groups.items()
    }


def test_a_core_without_a_matching_digest_in_the_rest_is_not_opened(
    store: Engine, keyring: Keyring, wifi: Dataset, key: KeyId, segment: SealedSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder of an exported keyring can seal a cell that opens as a core, and may have crafted it to do harm."""
    (tag, sealed), _ = segment.groups[Group.CORE]
    handed_out = keyring.group_keys(wifi.name, key, Group.CORE.label).cell
    place = CellContext(wifi.name, Group.CORE, tag)
    forged = Sealer(handed_out, Key(bytes(32))).enclose(b"no frame", len(sealed), place).cell
    opened: list[Group] = []
    monkeypatch.setattr(SegmentDiscovery, "_open", _watched(opened))
    with pytest.raises(CellDamagedError, match="do not belong together"):
        discovered_row(store, keyring, wifi, key, {Group.CORE: forged, Group.REST: segment.groups[Group.REST].cell})
    assert opened == [Group.REST]


def _watched(opened: list[Group]) -> object:
    genuine = SegmentDiscovery._open

    def open_watched(self: SegmentDiscovery, dataset: Dataset, key: KeyId, group: Group, cell: Cell) -> pa.RecordBatch:
        opened.append(group)
        return genuine(self, dataset, key, group, cell)

    return open_watched
