"""Exported keyrings against the known answers of docs/FORMAT.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.export.keyring_file import Export
from privacyplease.proxy.keys.derivation import GroupKeys, KeyId
from privacyplease.proxy.segments.groups import Group
from tests.vectors.known import EXPECTED, Vector, each, key, vectors


def _loaded(vector: Vector, folder: Path) -> Export:
    file = folder / "july.keyring"
    file.write_text(json.dumps(vector["file"]))
    return keyring_file.load(file, vector["passphrase"])


def test_a_keyring_opens(tmp_path: Path) -> None:
    vector = vectors("exported_keyrings")[0]
    export, body = _loaded(vector, tmp_path), vector["body"]
    assert export.keys == {KeyId(663, 1): GroupKeys(key(vector["tag_key"]), key(vector["cell_key"]))}
    assert {name: getattr(export.dataset, name) for name in body["dataset"]} == body["dataset"]
    assert list(export.interval) == body["interval"]
    assert export.made_at == body["made_at"]
    (row,) = export.segments
    summary = row.summary
    sizes = row.groups[Group.CORE].size
    known = [row.number, *row.key, summary.records, summary.first, summary.last, summary.reach, sizes]
    assert [known] == body["segments"]


def test_a_keyring_that_was_written_has_these_entries(tmp_path: Path) -> None:
    vector = vectors("exported_keyrings")[0]
    written = keyring_file.seal(_loaded(vector, tmp_path), vector["passphrase"])
    again = {"passphrase": vector["passphrase"], "file": json.loads(written)}
    assert list(again["file"]) == list(vector["file"])
    assert _loaded(again, tmp_path) == _loaded(vector, tmp_path)


@each("exported_keyrings", opens=False)
def test_a_keyring_is_refused(vector: Vector, tmp_path: Path) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        _loaded(vector, tmp_path)
