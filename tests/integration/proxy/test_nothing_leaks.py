"""What the untrusted server sees: a dump of its store, searched for everything that went in; and the proxy's own store.

Whatever is random comes from a seeded generator here, so that a short name does not turn up in ciphertext by chance on
one run in a thousand.
"""

from __future__ import annotations

import random
import secrets
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pymysql
import pytest
from sqlalchemy import make_url

from privacyplease.ingest import wifi as wifi_log
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import CellName, Cells
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.budget import size_class
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import check, spans
from privacyplease.proxy.records.timeline import LATEST
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.trusted_store import store as trusted_store
from tests.integration.known_answers import LARGE
from tests.services.cells import append, cell
from tests.services.proxy import PASSPHRASE, proxying
from tests.services.storage import serving

ROWS = 6_000
BATCHES = 12  # some of which are compacted
SAMPLE = 50
VERSION = b"\x02"


class ServerDump(NamedTuple):
    """What was ingested, and what the server has of it.

    Attributes:
        records: What was ingested, in stored form.
        storage: URL of the store.
        rows: Every row of the table of cells: tag, length, ciphertext.
        dump: Everything in the store as bytes, the names of tables and columns among them.
        home: The proxy's home.
    """

    records: pa.Table
    storage: str
    rows: list[tuple[bytes, int, bytes]]
    dump: bytes
    home: Home

    @property
    def cells(self) -> list[tuple[CellName, bytes]]:
        """Every cell of a segment, with its name."""
        names = self._names()
        return [(names[Tag(tag)], sealed) for tag, _, sealed in self.rows if tag in names]

    @property
    def heads(self) -> list[Cell]:
        """Every other cell."""
        names = self._names()
        return [Cell(Tag(tag), Sealed(sealed)) for tag, _, sealed in self.rows if tag not in names]

    @property
    def manifest(self) -> Manifest:
        return Manifest(trusted_store.open_store(self.home.trusted_store), self._keyring)

    @property
    def _keyring(self) -> Keyring:
        store = trusted_store.open_store(self.home.trusted_store)
        epoch_keys = EpochKeyHolders(self.home).open(store, "passphrase")
        return Keyring(store, self.home.master_key(PASSPHRASE), epoch_keys=epoch_keys)

    def _names(self) -> dict[Tag, CellName]:
        """The tag of every cell of the manifest, computed again."""
        rows, cells = self.manifest.rows("wifi"), Cells(None, self._keyring)  # type: ignore[arg-type]
        return {tag: name for group in Group for tag, name in cells.tags(rows, group).items()}


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_bytes", random.Random(2024).randbytes)


@pytest.fixture
def wifi() -> Dataset:
    return dataset.load()["wifi"]


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerDump]:
    """Ingests into each kind of store, compacts some of it, and dumps the store."""
    folder = tmp_path_factory.mktemp("seen")
    with ExitStack() as entered:
        patch = entered.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(secrets, "token_bytes", random.Random(2024).randbytes)
        url = f"sqlite:///{folder / 'cells.db'}"
        if request.param == "mariadb":
            url = entered.enter_context(request.getfixturevalue("mariadb_database")())
        yield _ingested(url, folder / "home")


def _ingested(storage_url: str, home: Path) -> ServerDump:
    everything, wifi = sessions(), dataset.load()["wifi"]
    with serving(storage_url) as storage, proxying(home, storage.address) as proxy:
        for number in range(BATCHES):
            (answer,) = proxy.ingest("wifi", everything.slice(number * ROWS // BATCHES, ROWS // BATCHES))
            assert answer.accepted == ROWS // BATCHES
            if number == BATCHES // 2:
                proxy.compact("wifi", include_open=True)
        assert proxy.records("wifi", 0, LATEST).num_rows > ROWS * 0.99  # everything is stored
    return ServerDump(check(everything, wifi).records, storage_url, stored(storage_url), dump(storage_url), Home(home))


@cache
def sessions() -> pa.Table:
    """Real sessions if available, else similar ones; in both cases from several epochs."""
    if LARGE.exists():
        real = pa.concat_tables(block.table for block in wifi_log.read(str(LARGE)))
        return real.take(pa.array(np.linspace(0, len(real) - 1, ROWS).astype(np.int64))).combine_chunks()
    rng = np.random.default_rng(2024)
    starts = 1_727_740_800_000 + rng.integers(0, 30 * 86_400_000, ROWS)
    return pa.table(
        {
            "client_mac": rng.integers(0, 2**48, 2_000)[rng.integers(0, 2_000, ROWS)],
            "ap_name": [f"ap-{number:02}" for number in rng.integers(0, 75, ROWS)],
            "association_time": pa.array(starts, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array(rng.integers(0, 7_200, ROWS) * 1_000, pa.duration("ms")),
            "map_location": [f"Campus > Building {number}" for number in rng.integers(0, 20, ROWS)],
            "vendor": ["Apple,Inc"] * ROWS,
        }
    )


def stored(storage_url: str) -> list[tuple[bytes, int, bytes]]:
    """The table of cells, read without the server."""
    return [tuple(row) for row in tables(storage_url)["cells"][1]]


def dump(storage_url: str) -> bytes:
    """Every byte of an SQLite file and its companion files; for MariaDB, every name and every value."""
    if storage_url.startswith("sqlite"):
        file = Path(storage_url.removeprefix("sqlite:///"))
        return b"\0".join(part.read_bytes() for part in sorted(file.parent.glob(f"{file.name}*")))
    values: list[bytes] = []
    for name, (columns, rows) in tables(storage_url).items():
        values += [name.encode(), *(column.encode() for column in columns)]
        values += [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    return b"\0".join(values)


def tables(storage_url: str) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """Columns and rows of every table."""
    url = make_url(storage_url)
    connection: Any
    if url.drivername == "sqlite":
        connection, names = sqlite3.connect(str(url.database)), "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        where: dict[str, Any] = {"host": url.host, "port": url.port, "user": url.username, "database": url.database}
        connection, names = pymysql.connect(**where), "SHOW TABLES"
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(names)
        found = {}
        for (name,) in list(cursor.fetchall()):
            cursor.execute(f"SELECT * FROM {name}")
            found[name] = ([column[0] for column in cursor.description], list(cursor.fetchall()))
    return found


def needles(records: pa.Table, wifi: Dataset) -> dict[str, set[bytes]]:
    """Everything that must not be in the server's store, by kind."""
    macs = [mac for mac, _ in Counter(records[wifi.subject].to_pylist()).most_common(SAMPLE)]
    starts = spans(records, wifi)[0][:: len(records) // SAMPLE].tolist()
    other = [name for name, kind in wifi.columns.items() if kind.value == "string" and name != wifi.place]
    texts = {text for name in other for text in records[name].unique().to_pylist() if text and len(text) > 3}
    return {
        "address as text": {notation for mac in macs for notation in notations(mac)},
        "address as bytes": {mac.to_bytes(6, order) for mac in macs for order in ("big", "little")},
        "place": set(encoded(records[wifi.place].unique().to_pylist())),
        "other column": set(encoded(texts)),
        "time as text": {text for start in starts for text in written(start)},
        "time as number": {n.to_bytes(8, o) for s in starts for n in (s, s // 1_000) for o in ("big", "little")},
        "column's name": set(encoded(wifi.columns)),
        "data set's name": set(encoded([wifi.name, wifi.name.upper(), wifi.title])),
    }


def notations(mac: int) -> Iterator[bytes]:
    digits = f"{mac:012x}"
    pairs = [digits[at : at + 2] for at in range(0, 12, 2)]
    quads = [digits[at : at + 4] for at in range(0, 12, 4)]
    for text in (digits, ":".join(pairs), "-".join(pairs), ".".join(quads), str(mac)):
        yield from encoded([text, text.upper()])


def written(millis: int) -> Iterator[bytes]:
    at = datetime.fromtimestamp(millis / 1_000, UTC)
    yield from encoded([f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}", f"{at:%b %d %H}", str(millis), str(millis // 1_000)])


def encoded(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        yield text.encode()
        yield text.encode("utf-16-le")


def found(dump: bytes, sought: dict[str, set[bytes]]) -> set[str]:
    """The kinds of needles that were found."""
    return {kind for kind, values in sought.items() if any(value in dump for value in values)}


def test_a_dump_holds_nothing_of_the_records(seen: ServerDump, wifi: Dataset) -> None:
    sought = needles(seen.records, wifi)
    assert all(sought.values())
    assert found(seen.dump, sought) == set()


def test_the_search_finds_planted_leaks(seen: ServerDump, wifi: Dataset) -> None:
    """With cells that are not sealed, the same search finds every kind of needle."""
    sought = needles(seen.records, wifi)
    some = {kind: min(values) for kind, values in sought.items()}
    with serving(seen.storage) as storage:
        for needle in some.values():
            leak = cell(size=1)
            leak.sealed = b"\x01" * 20 + needle + b"\x01" * 20
            append(storage.stub, leak)
    assert found(dump(seen.storage), sought) == set(sought)
    batch = seen.records.combine_chunks().to_batches()[0]
    plain = batch.serialize().to_pybytes() + batch.schema.serialize().to_pybytes()
    assert found(plain, sought) >= {"address as bytes", "place", "other column", "time as number", "column's name"}


def test_the_servers_own_names_reveal_nothing(seen: ServerDump) -> None:
    columns = {name: columns for name, (columns, _) in tables(seen.storage).items()}
    assert columns == {"cells": ["tag", "sealed_bytes", "sealed"], "schema_version": ["version"]}


def test_ciphertexts_look_like_noise(seen: ServerDump) -> None:
    bodies = b"".join(sealed[1:] for _, _, sealed in seen.rows)
    assert len(zlib.compress(bodies, 9)) > len(bodies)
    assert {sealed[:1] for _, sealed in seen.cells} == {VERSION}  # it is not secret


def test_no_two_cells_share_a_tag_or_anything(seen: ServerDump) -> None:
    names = [name for name, _ in seen.cells]
    assert {name.group for name in names} >= {Group.CORE, Group.REST}
    assert len({name.row.key for name in names}) > 1, "expected several epochs"
    assert {name.row.state for name in names} == {SegmentState.LIVE, SegmentState.RETIRED}
    assert len({(name.row.number, name.group) for name in names}) == len(names)
    for part in (lambda row: row[0], lambda row: row[2], lambda row: row[2][1:13], lambda row: row[2][-16:]):
        assert len({part(row) for row in seen.rows}) == len(seen.rows)


def test_every_cell_is_of_a_segment_or_a_head_of_the_manifest(seen: ServerDump) -> None:
    assert len(seen.cells) == sum(len(row.groups) for row in seen.manifest.rows("wifi"))
    assert seen.heads
    assert all(seen.manifest.heads.open(head) for head in seen.heads)
    assert len({len(head.sealed) for head in seen.heads}) == 1


def test_sizes_show_little(seen: ServerDump, wifi: Dataset) -> None:
    """The size of a cell follows from its number of records, and reveals that only to within a size class."""
    assert seen.manifest.outgrown == 0
    for name, sealed in seen.cells:
        assert len(sealed) == wifi.budgets[name.group.label].size(name.row.summary.records)
        assert size_class(len(sealed)) == len(sealed)
    assert len({len(sealed) for _, _, sealed in seen.rows}) < len(seen.rows) / 3


def test_the_same_records_again_look_like_others(
    seeded: None, sqlite_url: str, tmp_path: Path, wifi: Dataset
) -> None:  # fmt: skip
    batch = sessions().slice(0, 500)
    with serving(sqlite_url) as storage, proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", batch)
        first = stored(sqlite_url)
        proxy.ingest("wifi", batch)
    second = [row for row in stored(sqlite_url) if row not in first]
    assert sorted(row[1] for row in first) == sorted(row[1] for row in second)
    assert not {row[0] for row in first} & {row[0] for row in second}
    assert len({row[2] for row in (*first, *second)}) == len(first) + len(second)


def test_the_proxys_own_store_holds_names_of_data_sets_and_columns_and_nothing_of_the_records(
    seen: ServerDump, wifi: Dataset
) -> None:
    """Its rows are sealed: without a key, a reader learns only each segment's data set, number and state."""
    held = dump(f"sqlite:///{seen.home.trusted_store}")
    assert found(held, needles(seen.records, wifi)) == {"data set's name", "column's name"}
