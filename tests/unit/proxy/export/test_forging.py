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
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.core import Core, packed
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.pages import compressed
from privacyplease.proxy.segments.sealing import CellContext, Digests, Opener, Sealer
from privacyplease.proxy.storage.cell import Sealed, Tag
from tests.services.exports import ALLOWED, PARTNERS, answers, keys_of
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import LifecycleCore

Harm = Callable[[pa.RecordBatch], pa.RecordBatch]
Forgery = Callable[[Export, FakeStorage, ManifestRow, ManifestRow, Tag, Tag], object]


def reseal(export: Export, storage: FakeStorage, row: ManifestRow, _other: ManifestRow, tag: Tag, _: Tag) -> None:
    """A different page, made by the holder of the cell key: with one record less."""
    place, keys = CellContext("wifi", Group.CORE, tag), export.keys[row.key]
    core = Core(Opener(keys.cell).open(storage.cells[tag], place))
    columns = core.columns(slice(0, len(core) - 1))
    seal_as(export, storage, row, packed(columns), place)


def reseal_the_same(
    export: Export, storage: FakeStorage, row: ManifestRow, _other: ManifestRow, tag: Tag, _: Tag
) -> None:
    """The same page, under another nonce."""
    place = CellContext("wifi", Group.CORE, tag)
    seal_as(export, storage, row, Opener(export.keys[row.key].cell).open(storage.cells[tag], place), place)


def reseal_another(
    export: Export, storage: FakeStorage, row: ManifestRow, other: ManifestRow, tag: Tag, its: Tag
) -> None:
    """Another segment's page, sealed for this one."""
    batch = Opener(export.keys[other.key].cell).open(storage.cells[its], CellContext("wifi", Group.CORE, its))
    seal_as(export, storage, row, batch, CellContext("wifi", Group.CORE, tag))


def seal_as(export: Export, storage: FakeStorage, row: ManifestRow, batch: pa.RecordBatch, place: CellContext) -> None:
    """Seals with each key of the file instead of the digest key, which is not in it."""
    sealer = Sealer(export.keys[row.key].cell, export.keys[row.key].tag)
    forged = sealer.enclose(compressed(batch), row.groups[Group.CORE].size, place)
    assert not any(
        Digests(key).verify(row.groups[Group.CORE].digest, place.tag, forged.cell.sealed) for key in keys_of(export)
    )
    storage.cells[place.tag] = forged.cell.sealed


def swap(_: Export, storage: FakeStorage, _row: ManifestRow, _other: ManifestRow, tag: Tag, its: Tag) -> None:
    storage.cells[tag], storage.cells[its] = storage.cells[its], storage.cells[tag]


def drop(_: Export, storage: FakeStorage, _row: ManifestRow, _other: ManifestRow, tag: Tag, _its: Tag) -> None:
    del storage.cells[tag]


def flip(_: Export, storage: FakeStorage, _row: ManifestRow, _other: ManifestRow, tag: Tag, _its: Tag) -> None:
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
    filled: LifecycleCore, file: Path, storage: FakeStorage, forgery: str
) -> None:
    export = keyring_file.load(file, PARTNERS)
    row, other = [row for row in filled.manifest.view("wifi").overlapping(ALLOWED) if row.key == min(export.keys)][:2]
    ((tag, name),) = filled.cells.tags([row], Group.CORE).items()
    ((its, _),) = filled.cells.tags([other], Group.CORE).items()
    forge, _ = FORGERIES[forgery]
    forge(export, storage, row, other, tag, its)
    with pytest.raises(CellsMissingError if forgery == "one dropped" else CellDamagedError):
        filled.cells.fetch({tag: name})
    filled.cache.drop(list(filled.cells.tags(filled.rows(), Group.CORE)))
    with pytest.raises(UntrustedAnswerError):
        answers(filled.search, filled)
    with pytest.raises(UntrustedAnswerError):
        filled.devices()


@pytest.mark.parametrize("forgery", [name for name, (_, shows) in FORGERIES.items() if shows])
def test_a_proxy_on_an_exported_keyring_notices_what_it_can(
    filled: LifecycleCore, partner: ExportedSearch, file: Path, storage: FakeStorage, forgery: str
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


def _column(core: pa.RecordBatch, number: int, column: pa.Array) -> pa.RecordBatch:
    arrays = [*core.columns[:number], column, *core.columns[number + 1 :]]
    return pa.RecordBatch.from_arrays(arrays, names=core.schema.names).replace_schema_metadata(core.schema.metadata)


def _beyond_its_dictionary(core: pa.RecordBatch) -> pa.RecordBatch:
    places = core.column(1)
    codes = pa.array([200] * len(places), pa.uint8())
    return _column(core, 1, pa.DictionaryArray.from_arrays(codes, places.dictionary, safe=False))


def _beyond_its_buffer(core: pa.RecordBatch) -> pa.RecordBatch:
    offsets = pa.array([0, 1 << 30, 4], pa.int32()).buffers()[1]
    names = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"park"))
    return _column(core, 1, pa.DictionaryArray.from_arrays(pa.array([0] * len(core), pa.uint8()), names, safe=False))


# What a holder of the same keyring can seal: each would crash a careless reader, or make it read beyond its buffers.
HARMFUL: dict[str, Harm] = {
    "no columns": lambda core: pa.record_batch({"a": [1] * len(core)}),
    "no metadata": lambda core: core.replace_schema_metadata(None),
    "no unit": lambda core: core.replace_schema_metadata({**core.schema.metadata, b"unit": b"0"}),
    "times beyond the year 9999": lambda core: core.replace_schema_metadata(
        {**core.schema.metadata, b"unit": str(1 << 62).encode()}
    ),
    "codes beyond the dictionary": _beyond_its_dictionary,
    "offsets beyond the buffer": _beyond_its_buffer,
    "plain text": lambda core: _column(core, 1, pa.array(["park"] * len(core))),
    "no times": lambda core: _column(core, 2, pa.nulls(len(core), pa.uint8())),
    "signed times": lambda core: _column(core, 2, pa.array([-1] * len(core))),
    "nobody": lambda core: _column(
        core, 0, pa.DictionaryArray.from_arrays(pa.array([0] * len(core), pa.uint8()), pa.array([None], pa.int64()))
    ),
    "somebody without a record": lambda core: _column(
        core, 0, pa.DictionaryArray.from_arrays(pa.array([0] * len(core), pa.uint8()), pa.array([1, 2], pa.int64()))
    ),
    "subjects out of order": lambda core: _column(core, 0, core.column(0).take(pa.array(range(len(core)))[::-1])),
}


@pytest.mark.parametrize("harm", HARMFUL.values(), ids=HARMFUL)
def test_a_proxy_on_an_exported_keyring_is_not_harmed_by_another_holder_of_it(
    filled: LifecycleCore,
    partner: ExportedSearch,
    file: Path,
    storage: FakeStorage,
    harm: Harm,
) -> None:
    export = keyring_file.load(file, PARTNERS)
    row = next(row for row in export.segments if row.summary.records > 1)
    (tag,) = groups.tags(export.keys[row.key].tag, Group.CORE, [row.number])
    place, keys = CellContext("wifi", Group.CORE, tag), export.keys[row.key]
    core = Opener(keys.cell).open(storage.cells[tag], place)
    forged = Sealer(keys.cell, keys.tag).enclose(compressed(harm(core)), row.groups[Group.CORE].size, place)
    storage.cells[tag] = forged.cell.sealed
    with pytest.raises(CellDamagedError):
        answers(partner, filled)
