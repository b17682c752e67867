"""The CPU time to encrypt a session, compared with other encryption libraries.

Ours is the whole path: reading and checking the batch, sorting, tags, both groups of columns, compression and sealing.
The other libraries encrypt only what the name of their row says, given as Python values. Nothing is stored or indexed.
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

from benchmarks.interleaved_runs import run_interleaved
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.sessions import CampusSessions
from benchmarks.targets import FERNET, MONGODB
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.tables import check
from privacyplease.proxy.segments.groups import SegmentId
from privacyplease.proxy.segments.segment import SegmentSealer
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.write.buffer import by_epoch
from tests.services.mariadb import MariaDB

_BATCH = 65_536
_OUR_SESSIONS = 2 * _BATCH
_FERNET_SESSIONS = 5_000
_SLOW_SESSIONS = 60

# Ten years in milliseconds: a realistic range for the libraries that have to be given one.
_EARLIEST, _LATEST = 1_640_995_200_000, 1_956_528_000_000

Session = Mapping[str, Any]


def run(_database: MariaDB, results: BenchmarkResults, rounds: int) -> None:
    """Measures CPU time per session, each library in turn."""
    section = results.section(
        "sealing",
        "Encrypting a session: CPU time per session",
        "One thread of the encrypting machine, no store. Ours: a whole session, from Arrow columns. "
        "Fernet: all 15 columns, field by field, or the row as JSON. pyope: start and end. pymongocrypt: range on "
        "start and end, equality on device and place, as insert payloads of its explicit encryption.",
        sides=("ours", "theirs"),
    )
    table = pa.concat_tables(CampusSessions(_OUR_SESSIONS).tables())
    sessions = _python_rows(table.slice(0, _FERNET_SESSIONS))
    with tempfile.TemporaryDirectory() as folder:
        ours = _ProxySealing(Path(folder), table)
        runs = {
            "ours": ours.seal,
            "Fernet, each field": lambda: _cpu_seconds(sessions, _fernet_fields(Fernet(Fernet.generate_key()))),
            "Fernet, whole row": lambda: _cpu_seconds(sessions, _fernet_row(Fernet(Fernet.generate_key()))),
            "pyope": lambda: _cpu_seconds(sessions[:_SLOW_SESSIONS], _ope()),
            "pymongocrypt": lambda: _cpu_seconds(sessions[:_SLOW_SESSIONS], _mongodb()),
        }
        seconds = run_interleaved(runs, rounds)
    targets = {"Fernet, whole row": [FERNET], "pymongocrypt": [MONGODB]}
    for name in list(seconds)[1:]:
        bounds = held_against(targets.get(name, []), seconds["ours"] / seconds[name], 0)
        what = f"compared with {name}"
        section.add(Measurement(what, seconds["ours"] * 1e6, seconds[name] * 1e6, "µs", bounds))


class _ProxySealing:
    """The proxy's sealing, with its own trusted store."""

    def __init__(self, folder: Path, table: pa.Table) -> None:
        store = trusted_store.open_store(folder / "trusted.db")
        self._keyring = Keyring(store, LocalMasterKey(Key.generate()))
        self._sealing = SegmentSealer(self._keyring)
        self._numbers = count(1)
        self._wifi = dataset.load()["wifi"]
        self._table = table

    def seal(self) -> float:
        """Seals every batch and returns the CPU seconds per session."""
        began = time.process_time()
        for begin in range(0, len(self._table), _BATCH):
            records = check(self._table.slice(begin, _BATCH), self._wifi).records
            for epoch, part in by_epoch(records, self._wifi).items():
                key, number = self._keyring.ensure("wifi", epoch), SegmentId(next(self._numbers))
                self._sealing.seal(part, self._wifi, key, number, settled=False)
        return (time.process_time() - began) / len(self._table)


def _python_rows(table: pa.Table) -> list[Session]:
    """Sessions as Python values, for the other libraries; times in ms."""
    columns = {name: table[name] for name in table.column_names}
    for name in ("association_time", "session_duration"):
        columns[name] = columns[name].cast(pa.int64())
    return list(pa.table(columns).to_pylist())


def _cpu_seconds(sessions: Iterable[Session], encrypt: Callable[[Session], object]) -> float:
    """Encrypts the sessions and returns the CPU seconds per session."""
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
    """The library's key vault in memory, without a database; it ignores filters, because it holds a single key."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []

    def fetch_keys(self, filter: bytes) -> Iterator[bytes]:  # noqa: A002 (the library's name)
        yield from self._keys

    def insert_data_key(self, data_key: bytes) -> bytes:
        self._keys.append(data_key)
        key: bson.Binary = RawBSONDocument(data_key, CodecOptions(document_class=RawBSONDocument))["_id"]
        return bytes(key)

    def bson_encode(self, doc: Mapping[str, Any]) -> bytes:
        return bson.encode(doc)

    def kms_request(self, kms_context: object) -> None:
        raise NotImplementedError("a local key needs no KMS")

    def collection_info(self, database: str, filter: bytes) -> bytes:  # noqa: A002
        raise NotImplementedError("explicit encryption needs no collection info")

    def mark_command(self, database: str, cmd: bytes) -> bytes:
        raise NotImplementedError("explicit encryption marks no command")

    def close(self) -> None:
        self._keys.clear()
