"""Tags, sizes, filters, pages, cells and digests against the known answers of docs/FORMAT.md."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy.records.budget import Budget
from privacyplease.proxy.records.columns import ColumnType, read
from privacyplease.proxy.segments import filters, groups, rollups
from privacyplease.proxy.segments.core import Core, CoreColumns, packed
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.hashes import subject_hashes
from privacyplease.proxy.segments.pages import compressed, decompressed, pack, unpack
from privacyplease.proxy.segments.rollups import Rollup
from privacyplease.proxy.segments.sealing import CellContext, Digest, Digests, Opener, Sealer
from privacyplease.proxy.segments.segment import CORE_DIGEST
from privacyplease.proxy.storage.cell import Sealed, Tag
from tests.vectors.known import EXPECTED, Vector, each, key, vectors

STORED = {str(kind.stored): kind.stored for kind in ColumnType}


def test_tags() -> None:
    for vector in vectors("tags"):
        group, segment = Group[vector["group"].upper()], SegmentId(vector["segment"])
        (tag,) = groups.tags(key(vector["key"]), group, [segment])
        assert tag.hex() == vector["tag"]


def test_sizes() -> None:
    for vector in vectors("sizes"):
        budget = Budget(vector["floor"], vector["each"])
        assert budget.size(vector["records"]) == vector["size"]
        assert budget.fitting(vector["records"], vector["content"]) == vector["fitting"]


@pytest.mark.parametrize("times", [1, 10], ids=["a few", "many"])
def test_subject_hashes(times: int) -> None:
    for vector in vectors("subject_hashes"):
        kind = ColumnType(vector["type"])
        stored = read(pa.array(vector["values"] * times), kind).values
        assert subject_hashes(key(vector["key"]), stored, kind).tolist() == vector["hashes"] * times


def test_filters() -> None:
    for vector in vectors("filters"):
        made = filters.make(np.array(vector["hashes"], np.uint64))
        assert made.hex() == vector["filter"]
        assert [filters.may_hold(made, hashed) for hashed in vector["asked"]] == vector["may_hold"]


def test_lengths_of_filters() -> None:
    for vector in vectors("filter_lengths"):
        assert len(filters.make(np.arange(vector["subjects"], dtype=np.uint64))) == vector["bytes"]


def test_sketches() -> None:
    for vector in vectors("sketches"):
        assert rollups.sketch(np.array(vector["hashes"], np.uint64)).serialize().hex() == vector["sketch"]


def of_group(group: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in vectors("pages") if vector["group"] == group]
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


@of_group("core")
def test_a_core_opens_to_its_records_and_they_make_it_again(vector: Vector) -> None:
    batch = decompressed(bytes.fromhex(vector["frame"]))
    assert rows_of(Core(batch).columns()) == vector["records"]
    subjects, places, starts, durations = zip(*vector["records"], strict=True) if vector["records"] else ((),) * 4
    columns = CoreColumns(
        pa.array(subjects, STORED[vector["subject_type"]]),
        pa.array(places, pa.string()),
        np.array(starts, np.int64),
        np.array(durations, np.int64),
    )
    assert rows_of(columns) == vector["records"]
    assert packed(columns).equals(batch, check_metadata=True)


@of_group("rest")
def test_a_rest_opens_to_its_columns_and_they_make_it_again(vector: Vector) -> None:
    batch = decompressed(bytes.fromhex(vector["frame"]))
    columns = {
        column["name"]: pa.array(column["values"], pa.int64()).cast(STORED[column["type"]])
        if pa.types.is_temporal(STORED[column["type"]])
        else pa.array(column["values"], STORED[column["type"]])
        for column in vector["columns"]
    }
    table = pa.table(columns)
    assert unpack(batch).equals(table)
    made = pack(table).replace_schema_metadata({CORE_DIGEST: vector["core_digest"]})
    assert made.equals(batch, check_metadata=True)


@of_group("rollup")
def test_a_roll_up_opens_to_its_sketches_and_is_made_of_its_core(vector: Vector) -> None:
    batch = decompressed(bytes.fromhex(vector["frame"]))
    shown = {row["place"]: row["sketch"] for row in vector["rows"]}
    opened = Rollup(batch)
    assert len(opened) == len(shown)
    for place, sketch in shown.items():
        (found,) = opened.sketches(None if place is None else [place])
        assert found.serialize().hex() == sketch
    core = Core(decompressed(bytes.fromhex(vectors("pages")[0]["frame"])))
    assert rollups.rolled_up(core, np.array(vector["hashes"], np.uint64)).equals(batch, check_metadata=True)


@pytest.mark.parametrize("vector", vectors("pages"), ids=lambda vector: vector["name"])
def test_what_is_written_is_a_frame_of_the_same_batch(vector: Vector) -> None:
    batch = decompressed(bytes.fromhex(vector["frame"]))
    assert decompressed(compressed(batch)).equals(batch, check_metadata=True)


@each("cells", opens=True)
def test_a_cell_opens_to_its_page(vector: Vector) -> None:
    assert open_cell(vector).equals(decompressed(bytes.fromhex(vector["frame"])), check_metadata=True)


@each("cells", opens=False)
def test_a_cell_is_refused(vector: Vector) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        open_cell(vector)


def test_a_cell_is_sealed_byte_for_byte() -> None:
    vector = vectors("cells")[0]
    frame, nonce = bytes.fromhex(vector["frame"]), bytes.fromhex(vector["nonce"])
    size = Budget(vector["floor"], vector["each"]).size(vector["records"])
    assert place_of(vector).associated_data.hex() == vector["associated"]
    enclosed = Sealer(key(vector["cell_key"]), key("00" * 32)).enclose(frame, size, place_of(vector), nonce)
    assert enclosed.cell.sealed.hex() == vector["sealed"]
    assert enclosed.size == size


@each("digests", opens=True)
def test_a_digest_verifies_for_its_cell(vector: Vector) -> None:
    assert vouched(vector)
    tag, sealed, nonce = (bytes.fromhex(vector[part]) for part in ("tag", "sealed", "nonce"))
    assert Digests(key(vector["key"])).of(Tag(tag), Sealed(sealed), nonce).hex() == vector["digest"]


@each("digests", opens=False)
def test_a_digest_does_not_verify_for_any_other_cell(vector: Vector) -> None:
    assert vector["expected"] == "not vouched for"
    assert not vouched(vector)


def rows_of(columns: CoreColumns) -> list[list[object]]:
    parts = (columns.subjects, columns.places, columns.starts, columns.durations)
    return [list(row) for row in zip(*(part.tolist() for part in parts), strict=True)]


def place_of(vector: Vector) -> CellContext:
    return CellContext(vector["dataset"], Group[vector["group"].upper()], Tag(bytes.fromhex(vector["tag"])))


def open_cell(vector: Vector) -> pa.RecordBatch:
    return Opener(key(vector["cell_key"])).open(Sealed(bytes.fromhex(vector["sealed"])), place_of(vector))


def vouched(vector: Vector) -> bool:
    digest, tag, sealed = (bytes.fromhex(vector[part]) for part in ("digest", "tag", "sealed"))
    return Digests(key(vector["key"])).verify(Digest(digest), Tag(tag), Sealed(sealed))
