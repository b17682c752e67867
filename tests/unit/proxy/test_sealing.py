"""Sealing: each record once for each index, like with like, and no cell larger than a server takes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Engine

from privacyplease.proxy import sealing as module
from privacyplease.proxy.cells import LEAST_PAGE_BYTES, Opener, padme
from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import check
from privacyplease.proxy.sealing import Cell, Sealing

HOUR = 3_600_000
OVERHEAD = 1 + 12 + 16  # version, nonce, authentication tag


def records(wifi: Dataset, rows: int, *, start: int = 0, width: int = 400 * 24 * HOUR, **columns: Any) -> pa.Table:
    """Sessions of random devices at ten places, some of them long."""
    rng = np.random.default_rng(rows)
    given = {
        wifi.subject: rng.integers(0, 50, rows),
        wifi.place: [f"ap-{number}" for number in rng.integers(0, 10, rows)],
        wifi.start: pa.array(start + rng.integers(0, width, rows), pa.timestamp("ms", tz="UTC")),
        wifi.duration: pa.array(rng.choice([0, HOUR, 9 * HOUR, 700 * HOUR], rows), pa.duration("ms")),
    }
    return check(pa.table(given | columns), wifi).records


def opened(cells: list[Cell], wifi: Dataset, store: Engine, keyring: Keyring) -> dict[str, pa.Table]:
    """The records of all cells by index; each cell is tried with every index and epoch."""
    found: dict[str, list[pa.RecordBatch]] = {name: [] for name in wifi.indexes}
    openers = [
        (name, Opener(keyring.keys("wifi", epoch, name).cell, Layouts(store), "wifi", name, wifi.carried(index)))
        for name, index in wifi.indexes.items()
        for epoch in keyring.epochs("wifi")
    ]
    for cell in cells:
        ((name, batch),) = attempts(openers, cell)
        found[name].append(batch)
    return {name: pa.Table.from_batches(batches) for name, batches in found.items()}


def attempts(openers: list[tuple[str, Opener]], cell: Cell) -> list[tuple[str, pa.RecordBatch]]:
    results = []
    for name, opener in openers:
        try:
            results.append((name, opener.open(cell.sealed, cell.tag, cell.cell_id)))
        except CellDamagedError:
            continue
    return results


def test_every_index_holds_every_record_once(wifi: Dataset, sealing: Sealing, store: Engine, keyring: Keyring) -> None:
    given = records(wifi, 300)
    cells = list(sealing.seal(given, wifi))
    for name, table in opened(cells, wifi, store, keyring).items():
        columns = wifi.index(name).columns
        expected = Counter(map(str, given.select(columns).to_pylist()))
        assert Counter(map(str, table.to_pylist())) == expected


def test_records_of_one_tag_share_a_cell(wifi: Dataset, sealing: Sealing) -> None:
    cells = list(sealing.seal(records(wifi, 2_000, width=2 * HOUR), wifi))
    assert len({cell.tag for cell in cells}) == len(cells)
    assert len(cells) < 200


def test_cells_of_few_records_have_one_size(wifi: Dataset, sealing: Sealing) -> None:
    cells = [cell for rows in (1, 2, 3, 4, 5) for cell in sealing.seal(records(wifi, rows, width=1), wifi)]
    assert {len(cell.sealed) for cell in cells} == {LEAST_PAGE_BYTES + OVERHEAD}


def test_sizes_are_padded(wifi: Dataset, sealing: Sealing) -> None:
    cells = list(sealing.seal(records(wifi, 20_000, width=24 * HOUR), wifi))
    sizes = {len(cell.sealed) - OVERHEAD for cell in cells}
    assert len(sizes) > 1
    assert all(padme(size) == size for size in sizes)


def test_sealing_twice_gives_the_same_tags_and_nothing_else_in_common(wifi: Dataset, sealing: Sealing) -> None:
    first, second = (list(sealing.seal(records(wifi, 100), wifi)) for _ in range(2))
    assert {cell.tag for cell in first} == {cell.tag for cell in second}
    for part in (lambda cell: cell.cell_id, lambda cell: cell.sealed, lambda cell: cell.sealed[1:13]):
        assert not {part(cell) for cell in first} & {part(cell) for cell in second}


def test_keys_are_durable_before_the_first_cell(wifi: Dataset, sealing: Sealing, keyring: Keyring) -> None:
    cells = sealing.seal(records(wifi, 50, start=666 * 720 * HOUR, width=HOUR), wifi)
    assert keyring.epochs("wifi") == []
    first = next(cells)
    assert keyring.epochs("wifi") == [666]
    assert first.bucket == (0, 666 * 720)
    assert {cell.bucket.level for cell in cells if cell.bucket} == {0, 2, 4}


def test_a_cell_that_a_server_would_refuse_is_sealed_as_several(
    wifi: Dataset, sealing: Sealing, store: Engine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SEALED_BYTES", 1_024)
    given = records(wifi, 2_000, width=HOUR)
    cells = list(sealing.seal(given, wifi))
    assert max(len(cell.sealed) for cell in cells) <= 1_024
    assert len({cell.tag for cell in cells}) < len({(cell.tag, cell.cell_id) for cell in cells}) == len(cells)
    assert len(opened(cells, wifi, store, keyring)["subject"]) == len(given)


def test_a_cell_that_would_open_into_too_much_is_sealed_as_several(
    wifi: Dataset, sealing: Sealing, store: Engine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPENED_BYTES", 1_000_000)
    given = records(wifi, 400, width=HOUR, vendor=["x" * 50_000] * 400)  # 20 MB that compress to nothing
    cells = list(sealing.seal(given, wifi))
    batches = opened(cells, wifi, store, keyring)["subject"].to_batches()
    assert max(batch.nbytes for batch in batches) <= 1_000_000
    assert sum(map(len, batches)) == len(given)


def test_one_record_that_is_too_large_still_has_a_cell(
    wifi: Dataset, sealing: Sealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SEALED_BYTES", 10)
    assert len(list(sealing.seal(records(wifi, 1), wifi))) == 2  # one for each index; the server will say no
