"""What it costs the client's machine to encrypt a session, here and with others' libraries.

Ours is all of it: reading and checking the batch, sorting, tags, both groups of columns, compression and sealing. The
others are given no more than what stands in their name, as Python values, and nothing is stored or indexed.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from cryptography.fernet import Fernet
from pymongocrypt.explicit_encrypter import ExplicitEncrypter
from pymongocrypt.options import MongoCryptOptions
from pymongocrypt.synchronous.state_machine import MongoCryptCallback
from pyope.ope import OPE, ValueRange

from benchmarks.results import Results, Row, held
from benchmarks.rounds import in_turn
from benchmarks.sessions import Data
from benchmarks.targets import FERNET, MONGODB
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.tables import check
from privacyplease.proxy.segments.groups import SegmentId
from privacyplease.proxy.segments.segment import Sealing
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.write.buffer import by_epoch
from tests.services.mariadb import MariaDB

_BATCH = 65_536
_OURS = 2 * _BATCH
_FERNET = 5_000
_SLOW = 60

# Ten years of milliseconds: what a deployment would give the libraries that must know their range.
_EARLIEST, _LATEST = 1_640_995_200_000, 1_956_528_000_000

Session = Mapping[str, Any]


def run(_database: MariaDB, results: Results, rounds: int) -> None:
    """Measures CPU seconds a session, each library in turn."""
    section = results.section(
        "sealing",
        "Encrypting a session: CPU time a session",
        "One thread of the encrypting machine, no store. Ours: a whole session, from Arrow columns. "
        "Fernet: all 15 columns, field by field, or the row as JSON. pyope: start and end. pymongocrypt: range on "
        "start and end, equality on device and place, as insert payloads of its explicit encryption.",
        sides=("ours", "theirs"),
    )
    table = pa.concat_tables(Data(_OURS).tables())
    sessions = _python(table.slice(0, _FERNET))
    with tempfile.TemporaryDirectory() as folder:
        ours = _Ours(Path(folder), table)
        runs = {
            "ours": ours.seal,
            "Fernet a field": lambda: _each(sessions, _fernet_fields(Fernet(Fernet.generate_key()))),
            "Fernet a row": lambda: _each(sessions, _fernet_row(Fernet(Fernet.generate_key()))),
            "pyope": lambda: _each(sessions[:_SLOW], _ope()),
            "pymongocrypt": lambda: _each(sessions[:_SLOW], _mongodb()),
        }
        took = in_turn(runs, rounds)
    targets = {"Fernet a row": [FERNET], "pymongocrypt": [MONGODB]}
    for name in list(took)[1:]:
        bounds = held(targets.get(name, []), took["ours"] / took[name], 0)
        section.add(Row(f"beside {name}", took["ours"] * 1e6, took[name] * 1e6, "µs", bounds))


class _Ours:
    """The proxy's sealing, over a trusted store of its own."""

    def __init__(self, folder: Path, table: pa.Table) -> None:
        store = trusted_store.open_store(folder / "trusted.db")
        self._keyring = Keyring(store, LocalMasterKey(Key.generate()))
        self._sealing = Sealing(self._keyring)
        self._numbers = count(1)
        self._wifi = dataset.load()["wifi"]
        self._table = table

    def seal(self) -> float:
        """CPU seconds a session."""
        began = time.process_time()
        for begin in range(0, len(self._table), _BATCH):
            records = check(self._table.slice(begin, _BATCH), self._wifi).records
            for epoch, part in by_epoch(records, self._wifi).items():
                key, number = self._keyring.ensure("wifi", epoch), SegmentId(next(self._numbers))
                self._sealing.seal(part, self._wifi, key, number, settled=False)
        return (time.process_time() - began) / len(self._table)


def _python(table: pa.Table) -> list[Session]:
    """Sessions as the other libraries take them; times in ms."""
    columns = {name: table[name] for name in table.column_names}
    for name in ("association_time", "session_duration"):
        columns[name] = columns[name].cast(pa.int64())
    return list(pa.table(columns).to_pylist())


def _each(sessions: Iterable[Session], encrypt: Callable[[Session], object]) -> float:
    """CPU seconds a session."""
    number, began = 0, time.process_time()
    for session in sessions:
        encrypt(session)
        number += 1
    return (time.process_time() - began) / number


def _fernet_fields(fernet: Fernet) -> Callable[[Session], object]:
    return lambda session: [fernet.encrypt(str(value).encode()) for value in session.values()]


def _fernet_row(fernet: Fernet) -> Callable[[Session], object]:
    return lambda session: fernet.encrypt(json.dumps(session).encode())


def _ope() -> Callable[[Session], object]:
    ope = OPE(OPE.generate_key(), ValueRange(0, _LATEST - _EARLIEST), ValueRange(0, 2**56))
    return lambda session: [ope.encrypt(instant - _EARLIEST) for instant in _ends(session)]


def _ends(session: Session) -> tuple[int, int]:
    start = session["association_time"]
    return start, start + session["session_duration"]


def _mongodb() -> Callable[[Session], object]:
    vault = _KeyVault()
    encrypter = ExplicitEncrypter(vault, MongoCryptOptions({"local": {"key": bytes(range(96))}}))
    key = encrypter.create_data_key("local")
    limits = {"min": bson.Int64(_EARLIEST), "max": bson.Int64(_LATEST)}
    range_options = bson.encode(limits)

    def encrypt(session: Session) -> None:
        for instant in _ends(session):
            value = bson.encode({"v": bson.Int64(instant)})
            encrypter.encrypt(value, "Range", key_id=key, contention_factor=8, range_opts=range_options)
        for name in ("client_mac", "ap_name"):
            value = bson.encode({"v": session[name]})
            encrypter.encrypt(value, "Indexed", key_id=key, contention_factor=8)

    return encrypt


class _KeyVault(MongoCryptCallback):
    """The library's key vault without a database: documents in memory, filtered by nothing, for there is one key."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []

    def fetch_keys(self, filter: bytes) -> Iterator[bytes]:  # noqa: A002 (the library's name)
        yield from self._keys

    def insert_data_key(self, data_key: bytes) -> bytes:
        self._keys.append(data_key)
        key: bytes = RawBSONDocument(data_key, CodecOptions(document_class=RawBSONDocument))["_id"]
        return bytes(key)

    def bson_encode(self, doc: Mapping[str, Any]) -> bytes:
        return bson.encode(doc)

    def kms_request(self, kms_context: object) -> None:
        raise NotImplementedError("a local key needs no KMS")

    def collection_info(self, database: str, filter: bytes) -> bytes:  # noqa: A002
        raise NotImplementedError("explicit encryption asks for no collection")

    def mark_command(self, database: str, cmd: bytes) -> bytes:
        raise NotImplementedError("explicit encryption marks no command")

    def close(self) -> None:
        self._keys.clear()
