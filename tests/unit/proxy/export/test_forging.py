"""Nothing can be forged by a party that has both an exported keyring and the storage server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from privacyplease.proxy.errors import CellDamagedError, CellsMissingError, UntrustedAnswerError
from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.export.keyring_file import Export
from privacyplease.proxy.export.search import ExportedSearch
from privacyplease.proxy.manifest.rows import Row
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.core import Core, packed
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.pages import compressed
from privacyplease.proxy.segments.sealing import Digests, Opener, Place, Sealer
from privacyplease.proxy.storage.cell import Sealed, Tag
from tests.services.exports import ALLOWED, PARTNERS, answers, keys_of
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import ProxyCore

Forgery = Callable[[Export, FakeStorage, Row, Row, Tag, Tag], object]


def reseal(export: Export, storage: FakeStorage, row: Row, _other: Row, tag: Tag, _: Tag) -> None:
    """A different page, made by the holder of the cell key: with one record less."""
    place, keys = Place("wifi", Group.CORE, tag), export.keys[row.key]
    core = Core(Opener(keys.cell).open(storage.cells[tag], place))
    columns = core.columns(slice(0, len(core) - 1))
    seal_as(export, storage, row, packed(columns), place)


def reseal_the_same(export: Export, storage: FakeStorage, row: Row, _other: Row, tag: Tag, _: Tag) -> None:
    """The same page, under another nonce."""
    place = Place("wifi", Group.CORE, tag)
    seal_as(export, storage, row, Opener(export.keys[row.key].cell).open(storage.cells[tag], place), place)


def reseal_another(export: Export, storage: FakeStorage, row: Row, other: Row, tag: Tag, its: Tag) -> None:
    """Another segment's page, sealed for this one."""
    batch = Opener(export.keys[other.key].cell).open(storage.cells[its], Place("wifi", Group.CORE, its))
    seal_as(export, storage, row, batch, Place("wifi", Group.CORE, tag))


def seal_as(export: Export, storage: FakeStorage, row: Row, batch: pa.RecordBatch, place: Place) -> None:
    """Seals with each key of the file instead of the digest key, which is not in it."""
    sealer = Sealer(export.keys[row.key].cell, export.keys[row.key].tag)
    forged = sealer.enclose(compressed(batch), row.groups[Group.CORE].size, place)
    assert not any(
        Digests(key).vouch(row.groups[Group.CORE].digest, place.tag, forged.cell.sealed) for key in keys_of(export)
    )
    storage.cells[place.tag] = forged.cell.sealed


def swap(_: Export, storage: FakeStorage, _row: Row, _other: Row, tag: Tag, its: Tag) -> None:
    storage.cells[tag], storage.cells[its] = storage.cells[its], storage.cells[tag]


def drop(_: Export, storage: FakeStorage, _row: Row, _other: Row, tag: Tag, _its: Tag) -> None:
    del storage.cells[tag]


def flip(_: Export, storage: FakeStorage, _row: Row, _other: Row, tag: Tag, _its: Tag) -> None:
    sealed = storage.cells[tag]
    storage.cells[tag] = Sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]))


FORGERIES: dict[str, tuple[Forgery, bool]] = {
    "another page": (reseal, True),
    "the same page again": (reseal_the_same, False),
    "another segment's page": (reseal_another, True),
    "two swapped": (swap, True),
    "one dropped": (drop, True),
    "one changed": (flip, True),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_with_the_keyring_and_the_server_in_one_hand_no_answer_of_the_main_proxy_changes_unnoticed(
    filled: ProxyCore, file: Path, storage: FakeStorage, forgery: str
) -> None:
    export = keyring_file.load(file, PARTNERS)
    row, other = [row for row in filled.manifest.view("wifi").overlapping(ALLOWED) if row.key == min(export.keys)][:2]
    ((tag, name),) = filled.cells.tags([row], Group.CORE).items()
    ((its, _),) = filled.cells.tags([other], Group.CORE).items()
    forge, _ = FORGERIES[forgery]
    forge(export, storage, row, other, tag, its)
    with pytest.raises(CellsMissingError if forgery == "one dropped" else CellDamagedError):
        filled.cells.fetch({tag: name})
    filled.memory.drop(list(filled.cells.tags(filled.rows(), Group.CORE)))
    with pytest.raises(UntrustedAnswerError):
        answers(filled.search, filled)
    with pytest.raises(UntrustedAnswerError):
        filled.devices()


@pytest.mark.parametrize("forgery", [name for name, (_, shows) in FORGERIES.items() if shows])
def test_a_proxy_on_an_exported_keyring_notices_what_it_can(
    filled: ProxyCore, partner: ExportedSearch, file: Path, storage: FakeStorage, forgery: str
) -> None:
    """Only a holder of the same keyring can seal a page that it accepts, and only one of as many records."""
    export = keyring_file.load(file, PARTNERS)
    row, other = [row for row in export.segments if row.key == min(export.keys)][:2]
    tag, its = (groups.tags(export.keys[of.key].tag, Group.CORE, [of.number])[0] for of in (row, other))
    FORGERIES[forgery][0](export, storage, row, other, tag, its)
    before = dict(storage.cells)
    for _ in range(2):  # a forged cell is not kept in memory
        with pytest.raises(CellsMissingError if forgery == "one dropped" else CellDamagedError):
            answers(partner, filled)
    assert storage.cells == before
