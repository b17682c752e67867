"""Layouts: data sets may grow, old cells open for ever, and a change that would lose data is refused."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
import zstandard
from sqlalchemy import Engine

from privacyplease.proxy.cells import Opener
from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import Layout, Layouts
from privacyplease.proxy.records.dataset import Dataset, parse
from privacyplease.proxy.records.tables import check
from privacyplease.proxy.sealing import Sealing

DEFINITION = """
name = "badges"
title = "Badge readings"
base_width = "1h"
epoch_days = 30
subject = "badge"
place = "door"
start = "at"
duration = "stay"
[columns]
badge = "string"
door = "string"
at = "timestamp"
stay = "duration"
floor = "int"
[indexes.subject]
bins = 1
"""
RECORD = {"badge": "b-1", "door": "north", "at": "2024-10-01T08:00:00Z", "stay": 45, "floor": 3}
EPOCH = 666


def defined(old: str = "", new: str = "") -> Dataset:
    return parse(DEFINITION.replace(old, new))


def sealed(store: Engine, keyring: Keyring, dataset: Dataset, record: dict) -> tuple[bytes, bytes, bytes]:
    records = check(pa.Table.from_pylist([record]), dataset).records
    (cell,) = Sealing(keyring, Layouts(store)).seal(records, dataset)
    return cell.sealed, cell.tag, cell.cell_id


def opened(store: Engine, keyring: Keyring, dataset: Dataset, cell: tuple[bytes, bytes, bytes]) -> list[dict]:
    key = keyring.keys(dataset.name, EPOCH, "subject").cell
    opener = Opener(key, Layouts(store), dataset.name, "subject", dataset.carried(dataset.index("subject")))
    return opener.open(*cell).to_pylist()


AT = dt.datetime(2024, 10, 1, 8, tzinfo=dt.UTC)
STORED = {"badge": "b-1", "door": "north", "at": AT, "stay": dt.timedelta(seconds=45), "floor": 3}


def test_an_old_cell_opens_after_a_column_was_added(store: Engine, keyring: Keyring) -> None:
    old, grown = defined(), defined('floor = "int"', 'floor = "int"\nname = "string"')
    cells = [sealed(store, keyring, old, RECORD), sealed(store, keyring, grown, RECORD | {"name": "Ada"})]
    assert opened(store, keyring, grown, cells[0]) == [STORED | {"name": None}]
    assert opened(store, keyring, grown, cells[1]) == [STORED | {"name": "Ada"}]


def test_an_old_cell_opens_after_a_column_was_dropped_or_moved(store: Engine, keyring: Keyring) -> None:
    cell = sealed(store, keyring, defined(), RECORD)
    dropped = defined('floor = "int"\n')
    moved = parse(DEFINITION.replace('floor = "int"\n', "").replace("[columns]\n", '[columns]\nfloor = "int"\n'))
    assert opened(store, keyring, dropped, cell) == [{k: v for k, v in STORED.items() if k != "floor"}]
    assert opened(store, keyring, moved, cell) == [STORED]


def test_a_layout_is_stored_once(store: Engine) -> None:
    badges = defined()
    first = Layouts(store).current(badges, badges.index("subject"))
    again = Layouts(store).current(badges, badges.index("subject"))
    assert (first.number, again.number) == (1, 1)
    assert first.dictionary == again.dictionary


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bins = 1", "bins = 2"),
        ('"1h"', '"2h"'),
        ("epoch_days = 30", "epoch_days = 60"),
        ("[indexes.subject]", "[indexes.place]"),
        ('floor = "int"', 'floor = "int"\nvisit = "duration"'),
    ],
    ids=["bins", "base_width", "epoch_days", "indexes", "duration"],
)
def test_what_tags_are_made_of_is_fixed_once_data_is_stored(store: Engine, old: str, new: str) -> None:
    changed = DEFINITION.replace(old, new)
    if "visit" in new:
        changed = changed.replace('duration = "stay"', 'duration = "visit"')
    layouts, dataset = Layouts(store), parse(changed)
    layouts.check({"badges": dataset})  # nothing is stored yet, so anything may change
    layouts.settle(defined())
    with pytest.raises(ConfigurationError, match="are fixed once data is stored"):
        layouts.check({"badges": dataset})
    with pytest.raises(ConfigurationError, match="are fixed once data is stored"):
        layouts.settle(dataset)
    layouts.check({"badges": defined()})


def test_a_column_keeps_its_type_once_data_is_stored(store: Engine, keyring: Keyring) -> None:
    sealed(store, keyring, defined(), RECORD)
    changed = defined('floor = "int"', 'floor = "string"')
    with pytest.raises(ConfigurationError, match="column 'floor' is stored as int64; got string"):
        Layouts(store).check({"badges": changed})
    with pytest.raises(ConfigurationError, match="column 'floor' is stored as int64; got string"):
        Layouts(store).current(changed, changed.index("subject"))


@pytest.mark.parametrize(("records", "primed"), [(1, True), (1_000, False)])
def test_only_short_pages_are_primed_and_one_decompressor_reads_both(records: int, primed: bool) -> None:
    layout = Layout.make(1, pa.schema([("badge", pa.string()), ("floor", pa.int64())]))
    batch = pa.record_batch({"badge": [f"b-{n}" for n in range(records)], "floor": list(range(records))})
    frame = layout.compressor().compress(batch)
    assert layout.decompressor().decompress(frame) == batch.serialize().to_pybytes()
    assert primed == (len(frame) < len(zstandard.ZstdCompressor(level=1).compress(batch.serialize())))


def test_a_layout_that_the_trusted_store_lacks_is_named(store: Engine) -> None:
    with pytest.raises(KeyUnavailableError, match="lacks layout 7 of index 'subject' of 'badges'"):
        Layouts(store).numbered("badges", "subject", 7)
