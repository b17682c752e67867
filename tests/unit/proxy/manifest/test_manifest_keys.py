"""The manifest's keys, which are made when its first row is written."""

from __future__ import annotations

from sqlalchemy import Engine

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.manifest.changes import Change
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.segment import SegmentSealer


def test_a_change_does_not_deadlock_with_making_a_row_key(store: Engine, wifi: Dataset) -> None:
    for _ in range(2):  # the first makes the keys; the second opens them
        keyring = Keyring(store, LocalMasterKey(Key(bytes(32))))
        manifest, key = Manifest(store, keyring), keyring.ensure(wifi.name, 0)
        (number,) = manifest.numbers(wifi.name, 1)
        segment = SegmentSealer(keyring).seal(wifi.schema.empty_table(), wifi, key, number, settled=False)
        manifest.commit(Change(added=[ManifestRow.of(segment, wifi.name, key, settled=False)]))
    assert manifest.size()[SegmentState.SENT] == 2
