"""Rows, heads and the chain between them against the known answers of docs/FORMAT.md."""

from __future__ import annotations

import secrets
from typing import cast

import pytest
from sqlalchemy import Engine, insert

from privacyplease.proxy.keys.derivation import Key, KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.keys.wrapped_keys import KeyName, associated
from privacyplease.proxy.manifest import rows
from privacyplease.proxy.manifest.changes import Change, SegmentName
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKey, DestroyedKeys
from privacyplease.proxy.manifest.head import HEAD_OWNER, Head, HeadKeys, ahead_of, kept
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import CellEntry, ManifestRow, SegmentState, open_row
from privacyplease.proxy.manifest.statements import described
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import Digest
from privacyplease.proxy.segments.segment import Summary
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.trusted_store.tables import data_keys
from tests.services.fake_storage import FakeStorage
from tests.vectors.known import EXPECTED, Vector, each, key, vectors


@each("manifest_rows", opens=True)
def test_a_row_opens(vector: Vector) -> None:
    assert opened(vector) == row_of(vector)


@each("manifest_rows", opens=False)
def test_a_row_is_refused(vector: Vector) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        opened(vector)


@each("manifest_rows", opens=True)
def test_a_row_is_sealed_byte_for_byte(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    nonce = bytes.fromhex(vector["sealed"])[:12]
    monkeypatch.setattr(secrets, "token_bytes", lambda length: nonce[:length])
    assert rows.seal(row_of(vector), key(vector["key"])).hex() == vector["sealed"]


@each("heads", opens=True)
def test_a_head_opens(vector: Vector, store: Engine) -> None:
    keys = head_keys(vector, store)
    head = Head(vector["sequence"], vector["version"], bytes.fromhex(vector["link"]), vector["at"])
    head = head._replace(destroyed=vector.get("destroyed", 0))
    assert keys.open(cell_of(vector)) == head
    assert keys.home == vector["home"]
    assert keys.tags([head.sequence]) == [cell_of(vector).tag]


@each("heads", opens=True)
def test_a_head_is_sealed_byte_for_byte(vector: Vector, store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, nonce = head_keys(vector, store), bytes.fromhex(vector["sealed"])[:12]
    head = keys.open(cell_of(vector))
    assert head
    monkeypatch.setattr(secrets, "token_bytes", lambda length: nonce[:length])
    assert keys.seal(head) == cell_of(vector)


@each("heads", opens=False)
def test_a_head_is_refused(vector: Vector, store: Engine) -> None:
    assert vector["expected"] == "does not open"
    assert head_keys(vector, store).open(cell_of(vector)) is None


@each("destroyed_keys", opens=True)
def test_a_destroyed_key_opens_and_is_sealed_byte_for_byte(
    vector: Vector, store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, nonce = destroyed_keys(vector, store), bytes.fromhex(vector["sealed"])[:12]
    listed = DestroyedKey(vector["dataset"], KeyId(vector["epoch"], vector["generation"]), vector["renewed"])
    assert keys.open(cell_of(vector)) == listed
    monkeypatch.setattr(secrets, "token_bytes", lambda length: nonce[:length])
    assert keys.seal(vector["number"], listed) == cell_of(vector)


@each("destroyed_keys", opens=False)
def test_a_destroyed_key_is_refused(vector: Vector, store: Engine) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        destroyed_keys(vector, store).open(cell_of(vector))


@pytest.mark.parametrize("vector", vectors("links"), ids=lambda vector: vector["name"])
def test_links_of_the_chain(vector: Vector, store: Engine) -> None:
    before = Head(0, 0, bytes.fromhex(vector["before"]), 0)
    changes = [bytes.fromhex(change) for change in vector["changes"]]
    assert head_keys(vector, store).linked(before, vector["version"], changes).hex() == vector["link"]


def test_what_a_link_says_of_a_change() -> None:
    link, like = vectors("links")[0], row_of(vectors("manifest_rows")[0])
    put = [like._replace(dataset=row["dataset"], number=row["number"], state=state_of(row)) for row in link["put"]]
    removed = [SegmentName(name["dataset"], SegmentId(name["number"])) for name in link["removed"]]
    sealed = [bytes.fromhex(row["sealed"]) for row in link["put"]]
    changes = described(put, sealed, Change(added=put, removed=removed))
    assert [change.hex() for change in changes] == link["changes"]


@pytest.mark.parametrize("vector", vectors("head_numbers"), ids=lambda vector: str(vector["number"]))
def test_which_heads_are_kept_and_asked_for(vector: Vector) -> None:
    assert sorted(kept(vector["number"]) - {0}) == vector["kept"]
    assert sorted(ahead_of(vector["number"])) == vector["asked_for"]


def state_of(vector: Vector) -> SegmentState:
    return SegmentState[vector["state"].upper()]


def opened(vector: Vector) -> ManifestRow:
    name = vector["dataset"], vector["number"], state_of(vector), vector["version"]
    return open_row(bytes.fromhex(vector["sealed"]), key(vector["key"]), *name)


def row_of(vector: Vector) -> ManifestRow:
    summary = [vector[part] for part in ("records", "first", "last", "reach", "longest")]
    entries = {
        Group(entry["group"]): CellEntry(entry["size"], Digest(bytes.fromhex(entry["digest"])))
        for entry in vector["groups"]
    }
    return ManifestRow(
        dataset=vector["dataset"],
        number=SegmentId(vector["number"]),
        state=state_of(vector),
        version=vector["version"],
        key=KeyId(vector["epoch"], vector["generation"]),
        settled=vector["settled"],
        changed_at=vector["changed_at"],
        summary=Summary(*[*summary, bytes.fromhex(vector["filter"])]),
        groups=entries,
        outgrown=vector["outgrown"],
    )


def cell_of(vector: Vector) -> Cell:
    return Cell(Tag(bytes.fromhex(vector["tag"])), Sealed(bytes.fromhex(vector["sealed"])))


def head_keys(vector: Vector, store: Engine) -> HeadKeys:
    return HeadKeys(keyring_of(vector, store))


def destroyed_keys(vector: Vector, store: Engine) -> DestroyedKeys:
    ring = keyring_of(vector, store)
    return DestroyedKeys(Manifest(store, ring), cast(StorageClient, FakeStorage()), ring)


def keyring_of(vector: Vector, store: Engine) -> Keyring:
    """A keyring with the vector's data key as that of heads."""
    master = LocalMasterKey(Key(bytes(32)))
    wrapped = master.wrap(key(vector["data_key"]), associated(KeyName(HEAD_OWNER, KeyId(0))))
    row = {"dataset": HEAD_OWNER, "epoch": 0, "generation": 0, "wrapped": wrapped, "made_at": 0}
    with store.begin() as connection:
        connection.execute(insert(data_keys).values(row))
    return Keyring(store, master)
