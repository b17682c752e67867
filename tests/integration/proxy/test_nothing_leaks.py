"""What the untrusted server sees: a dump of its store after ingest, searched for everything that went in.

Whatever is random comes from a seeded generator here, so that a short name cannot turn up in ciphertext by chance on
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
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pymysql
import pytest
from sqlalchemy import make_url

from privacyplease.ingest import wifi as wifi_log
from privacyplease.proxy.cells import LEAST_PAGE_BYTES, padme
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import check, spans
from privacyplease.proxy.tags import bins, tags
from privacyplease.proxy.trusted_store import store as trusted_store
from tests.integration.known_answers import LARGE
from tests.services.cells import append, cell
from tests.services.proxy import PASSPHRASE, proxying
from tests.services.storage import serving

ROWS = 6_000
SAMPLE = 50
OVERHEAD = 1 + 12 + 16  # version, nonce, authentication tag
FEW = 4  # records of either index that fit into the smallest page


class Seen(NamedTuple):
    """What was ingested, and what the server has of it.

    Attributes:
        records: What was ingested, in stored form.
        storage: URL of the store.
        rows: Every row of the table of cells: tag, cell id, length, ciphertext.
        dump: Everything in the store as bytes, the names of tables and columns among them.
        home: The proxy's.
    """

    records: pa.Table
    storage: str
    rows: list[tuple[bytes, bytes, int, bytes]]
    dump: bytes
    home: Home


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_bytes", random.Random(2024).randbytes)


@pytest.fixture
def wifi() -> Dataset:
    return dataset.load()["wifi"]


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Ingests one batch into either kind of store and dumps the store."""
    folder = tmp_path_factory.mktemp("seen")
    with ExitStack() as entered:
        patch = entered.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(secrets, "token_bytes", random.Random(2024).randbytes)
        url = f"sqlite:///{folder / 'cells.db'}"
        if request.param == "mariadb":
            url = entered.enter_context(request.getfixturevalue("mariadb_database")())
        yield _ingested(url, folder / "home")


def _ingested(storage_url: str, home: Path) -> Seen:
    batch, wifi = sessions(), dataset.load()["wifi"]
    with serving(storage_url) as storage, proxying(home, storage.address) as proxy:
        (answer,) = proxy.ingest("wifi", batch)
        assert answer.accepted == len(batch)
        assert proxy.records("wifi", "subject", 0, 253_402_300_799_999).num_rows > len(batch) * 0.99  # it is all there
    return Seen(check(batch, wifi).records, storage_url, stored(storage_url), dump(storage_url), Home(home))


@cache
def sessions() -> pa.Table:
    """Real sessions where they are at hand, else some that look like them. Of several epochs either way."""
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


def stored(storage_url: str) -> list[tuple[bytes, bytes, int, bytes]]:
    """The table of cells, read past the server."""
    return [tuple(row) for row in tables(storage_url)["cells"][1]]


def dump(storage_url: str) -> bytes:
    """Every byte of an SQLite file and of what lies beside it; of MariaDB every name and every value."""
    if storage_url.startswith("sqlite"):
        file = Path(storage_url.removeprefix("sqlite:///"))
        return b"\0".join(part.read_bytes() for part in sorted(file.parent.glob(f"{file.name}*")))
    values: list[bytes] = []
    for name, (columns, rows) in tables(storage_url).items():
        values += [name.encode(), *(column.encode() for column in columns)]
        values += [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    return b"\0".join(values)


def tables(storage_url: str) -> dict[str, tuple[list[str], list[tuple]]]:
    """Columns and rows of every table."""
    url = make_url(storage_url)
    if url.drivername == "sqlite":
        connection, names = sqlite3.connect(url.database), "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        where = {"host": url.host, "port": url.port, "user": url.username, "database": url.database}
        connection, names = pymysql.connect(**where), "SHOW TABLES"
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(names)
        found = {}
        for (name,) in list(cursor.fetchall()):
            cursor.execute(f"SELECT * FROM {name}")
            found[name] = ([column[0] for column in cursor.description], list(cursor.fetchall()))
    return found


def needles(records: pa.Table, wifi: Dataset) -> dict[str, set[bytes]]:
    """Everything that must not be in the store, by kind."""
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
    """The kinds of needles of which there is at least one."""
    return {kind for kind, values in sought.items() if any(value in dump for value in values)}


def test_a_dump_holds_nothing_of_the_records(seen: Seen, wifi: Dataset) -> None:
    sought = needles(seen.records, wifi)
    assert all(sought.values())
    assert found(seen.dump, sought) == set()


def test_the_search_would_find_what_leaked(seen: Seen, wifi: Dataset) -> None:
    """Cells that are not sealed, beside the others: every kind of needle is found, by the search that found none."""
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


def test_the_servers_own_names_say_nothing(seen: Seen) -> None:
    columns = {name: columns for name, (columns, _) in tables(seen.storage).items()}
    assert columns == {"cells": ["tag", "cell_id", "sealed_bytes", "sealed"], "schema_version": ["version"]}


def test_ciphertexts_look_like_noise(seen: Seen) -> None:
    bodies = b"".join(sealed[1:] for _, _, _, sealed in seen.rows)
    assert len(zlib.compress(bodies, 9)) > len(bodies)
    assert {sealed[:1] for _, _, _, sealed in seen.rows} == {b"\x01"}  # the version is not secret


def test_no_two_places_share_a_tag_and_no_two_cells_anything(seen: Seen, wifi: Dataset) -> None:
    places = coordinates(seen, wifi)
    assert {row[0] for row in seen.rows} == {tag for tag, _ in places.values()}
    assert len({tag for tag, _ in places.values()}) == len(places) == len(seen.rows)
    assert len({place[:2] for place in places}) >= 4, "expected two indexes in several epochs"
    for part in (lambda row: row[1], lambda row: row[3], lambda row: row[3][1:13], lambda row: row[3][-16:]):
        assert len({part(row) for row in seen.rows}) == len(seen.rows)


def test_sizes_show_little(seen: Seen, wifi: Dataset) -> None:
    sizes = {row[0]: len(row[3]) - OVERHEAD for row in seen.rows}
    records = dict(coordinates(seen, wifi).values())
    assert all(padme(size) == size >= LEAST_PAGE_BYTES for size in sizes.values())
    place_tags = {tag for place, (tag, _) in coordinates(seen, wifi).items() if place[0] == "place"}
    assert {sizes[tag] for tag in place_tags if records[tag] <= FEW} == {LEAST_PAGE_BYTES}
    assert len(set(sizes.values())) < 60 < len(seen.rows)


def test_the_same_records_again_look_like_others(
    seeded: None, sqlite_url: str, tmp_path: Path, wifi: Dataset
) -> None:  # fmt: skip
    batch = sessions().slice(0, 500)
    with serving(sqlite_url) as storage, proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", batch, batch)
    rows = stored(sqlite_url)
    assert len({row[0] for row in rows}) * 2 == len(rows)
    assert len({row[3] for row in rows}) == len({row[1] for row in rows}) == len(rows)


def coordinates(seen: Seen, wifi: Dataset) -> dict[tuple, tuple[bytes, int]]:
    """For each (index, epoch, level, bucket, bin) of the records: its tag, worked out anew, and how many they are."""
    keyring = Keyring(trusted_store.open_store(seen.home.trusted_store), seen.home.master_key(PASSPHRASE))
    starts, ends = spans(seen.records, wifi)
    levels = wifi.timeline.levels(ends - starts)
    buckets, epochs = wifi.timeline.buckets(starts, levels), wifi.timeline.epochs(starts)
    counted: Counter[tuple] = Counter()
    named: dict[tuple, bytes] = {}
    for name, index in wifi.indexes.items():
        for epoch in np.unique(epochs).tolist():
            rows = np.flatnonzero(epochs == epoch)
            keys = keyring.keys(wifi.name, epoch, name)
            values = seen.records[index.key].take(pa.array(rows)).combine_chunks()
            where = levels[rows], buckets[rows], bins(keys.bin, values, wifi.columns[index.key], index.bins)
            names = tags(keys.tag, *where)
            for tag, *place in zip(names, *(column.tolist() for column in where), strict=True):
                counted[name, epoch, *place] += 1
                named[name, epoch, *place] = tag.tobytes()
    return {place: (named[place], number) for place, number in counted.items()}
