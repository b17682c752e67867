"""What the proxy reads: records, pages, the storage server's answers, and the files of its home."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path

import zstandard

from tests.soak.parsers.target import EXTREMES, Parse, Target
from tests.vectors import known

DEFINITION = """
name = "every_type"
title = "A column of each type"
subject = "who"
place = "where"
start = "since"
duration = "lasting"
epoch_days = 7

[columns]
who = "mac"
where = "string"
since = "timestamp"
lasting = "duration"
whole = "int"
real = "float"
flag = "bool"
"""

POLICY = """
calls_per_minute = 100
audit = "all"
approvals = "off"
[clients.alice]
roles = ["count", "presence", "admin"]
datasets = ["every_type"]
devices = ["aa:bb:cc:dd:ee:ff"]
purposes = ["lost property"]
longest_interval = "1d"
calls_per_minute = 10
burst = 20
batches_per_second = 7
may_act_for = ["*"]
[plaintext]
roles = ["ingest"]
[revoked]
names = ["mallory"]
certificates = ["00:11:22"]
"""

LINE = {"who": "aa:bb:cc:dd:ee:ff", "where": "x", "since": "2024-10-01T00:00:00Z", "lasting": 60, "whole": 1}
CHOICES = [b'master_key = "passphrase"', b'hsm = "pkcs11:x"\nvault = "vault:y"']
ROWS = [LINE | {"real": 0.5, "flag": True}, LINE | {"since": 1_727_769_600_000, "real": None, "flag": None}]
LINES = ["\n".join(map(json.dumps, ROWS)).encode()]


def _batch_errors() -> tuple[type[Exception], ...]:
    from privacyplease.proxy.errors import MalformedBatchError

    return (MalformedBatchError,)


def _configuration() -> tuple[type[Exception], ...]:
    from privacyplease.proxy.errors import ConfigurationError, WrongPassphraseError

    return ConfigurationError, WrongPassphraseError


def _damaged() -> tuple[type[Exception], ...]:
    from privacyplease.proxy.errors import CellDamagedError

    return (CellDamagedError,)


def _batches(form: str, _folder: Path) -> Parse:
    from privacyplease.proxy.records import dataset
    from privacyplease.proxy.services import ingest
    from privacyplease.proxy.v1 import ingest_service_pb2 as pb

    every_type = dataset.parse(DEFINITION)

    def parse(data: bytes) -> object:
        if form == "arrow":
            return ingest._check(pb.IngestRequest(arrow=data), every_type)
        return ingest._check(pb.IngestRequest(json_lines=data.decode(errors="ignore")), every_type)

    return parse


def _streams() -> Iterable[bytes]:
    import pyarrow as pa

    from tests.services.arrow_bombs import stream

    plain = {name: pa.array([str(row[name]) for row in ROWS]) for name in ROWS[0]}
    yield stream(plain)
    yield stream({name: column.dictionary_encode() for name, column in plain.items()})
    yield stream({name: column.cast(pa.string_view()) for name, column in plain.items()})
    typed = {"since": pa.array([0, 1], pa.timestamp("ms", "UTC")), "lasting": pa.array([1, None], pa.duration("s"))}
    typed |= {"whole": pa.array([1, 2], pa.uint8()), "real": pa.array([1.5, 2]), "flag": pa.array([True, None])}
    yield stream(plain | typed)


def _page_frames(_folder: Path) -> Parse:
    from privacyplease.proxy.segments import sealing

    return sealing._batch


def _frame_seeds() -> Iterable[bytes]:
    for frame in _frames():
        yield len(frame).to_bytes(4, "big") + frame


def _frames() -> list[bytes]:
    return [bytes.fromhex(vector["frame"]) for vector in known.vectors("pages")]


def _exported_cores(_folder: Path) -> Parse:
    from privacyplease.proxy.export.plausible_core import plausible_core
    from privacyplease.proxy.query import occupancy
    from privacyplease.proxy.query.hits import Hit
    from privacyplease.proxy.records.timeline import Interval
    from privacyplease.proxy.segments import sealing
    from privacyplease.proxy.segments.core import EVERY, Core

    hour = Interval(1_727_769_600_000, 1_727_773_200_000)

    def parse(data: bytes) -> object:
        frame = zstandard.ZstdCompressor(level=1).compress(data)
        core = Core(plausible_core(sealing._batch(len(frame).to_bytes(4, "big") + frame)))
        hits = [Hit(core, EVERY, mask) for mask in (None, core.overlapping(hour) & core.at(["park", "ap-35"]))]
        return occupancy.count(hits), occupancy.count_by_place(hits), core.columns()

    return parse


def _core_seeds() -> Iterable[bytes]:
    for vector in known.vectors("pages"):
        if vector["group"] == "core":
            yield zstandard.ZstdDecompressor().decompress(bytes.fromhex(vector["frame"]))


def _settings(name: str, load: Callable[[Path], object]) -> Parse:
    file = Path(name)

    def parse(data: bytes) -> object:
        file.write_bytes(data)
        return load(file)

    return parse


def _definitions(folder: Path) -> Parse:
    from privacyplease.proxy.records import dataset

    return _settings(str(folder / "own.toml"), dataset._read)


def _policies(folder: Path) -> Parse:
    from privacyplease.proxy.access.policy_file import PolicyFile
    from privacyplease.proxy.records import dataset

    datasets = {"every_type": dataset.parse(DEFINITION)}
    return _settings(str(folder / "policy.toml"), lambda file: PolicyFile(file, datasets))


def _choices(folder: Path) -> Parse:
    from privacyplease.proxy.keys.home import Home

    def load(file: Path) -> object:
        shutil.copy(file, folder / "allowed-master-keys.toml")
        home = Home(folder)
        try:
            return home.master_key_choice
        except _configuration():
            return home.master_key_named("hsm")

    return _settings(str(folder / "master.toml"), load)


def _without_argon2(folder: Path) -> None:
    """Spares the half second that each passphrase takes, and the 4 GiB that a file may ask for."""
    from privacyplease.proxy.keys import master_key
    from privacyplease.proxy.keys.derivation import KEY_BYTES, Key

    def key(*_inputs: object) -> Key:
        return Key(bytes(KEY_BYTES))

    setattr(master_key, "_passphrase_key", key)  # noqa: B010  # which mypy would not have assigned


def _master_keys(folder: Path) -> Parse:
    from privacyplease.proxy.keys import master_key

    _without_argon2(folder)
    return _settings(str(folder / "master.key"), partial(master_key.load, passphrase="secret"))


def _master_key_seeds() -> Iterable[bytes]:
    from privacyplease.proxy.keys import master_key
    from privacyplease.proxy.keys.derivation import context

    yield master_key.sealed_by("secret", master_key.FORMAT, bytes(32), context(master_key.MASTER_LABEL))
    yield from EXTREMES


def _keyring_bodies(folder: Path) -> Parse:
    from privacyplease.proxy.export import keyring_file
    from privacyplease.proxy.keys.derivation import context
    from privacyplease.proxy.keys.master_key import sealed_by

    _without_argon2(folder)
    file = folder / "keyring"

    def parse(data: bytes) -> object:
        file.write_bytes(sealed_by("secret", keyring_file.FORMAT, data, context(keyring_file.EXPORT_LABEL)))
        return keyring_file.load(file, "secret")

    return parse


def _keyring_body_seeds() -> Iterable[bytes]:
    for vector in known.vectors("exported_keyrings"):
        if "body" in vector:
            yield json.dumps(vector["body"]).encode()
    yield from EXTREMES


def _backups(folder: Path) -> Parse:
    from privacyplease.proxy.backup import archive
    from privacyplease.proxy.keys.home import Home

    file, home, certificates = folder / "backup.tar", folder / "home", folder / "certificates"

    def parse(data: bytes) -> object:
        file.write_bytes(data)
        try:
            return archive.restore(file, Home(home), certificates)
        finally:
            for each in (home, certificates):
                shutil.rmtree(each, ignore_errors=True)

    return parse


def _backup_seeds() -> Iterable[bytes]:
    about = {"format": "privacyplease backup v2", "made_at": "2024-10-01T00:00:00Z"}
    for described in (json.dumps(about).encode(), *EXTREMES):
        yield _backup(described)


def _backup(described: bytes) -> bytes:
    files = {"backup.json": described, "proxy/trusted.db": b"", "certificates/ca.pem": b"x"}
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in (files | {"SHA256SUMS": sums.encode()}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _audit_logs(folder: Path) -> Parse:
    from privacyplease.proxy.audit.chain import open_line
    from privacyplease.proxy.audit.files import file_of, lines
    from privacyplease.proxy.audit.verify import Anchor, verify
    from privacyplease.proxy.keys.derivation import Key
    from privacyplease.proxy.services import audit

    key, file = Key(bytes(32)), file_of(folder, 1)

    def parse(data: bytes) -> object:
        file.write_bytes(data)
        for stored in lines(folder):
            if line := open_line(stored.line):
                audit.readable(line.entry)
        return verify(lines(folder), key, key, Anchor(2, bytes(32)))

    return parse


def _audit_seeds() -> Iterable[bytes]:
    from privacyplease.proxy.audit import chain
    from privacyplease.proxy.keys.derivation import Key

    at = {"at": "2024-10-01T00:00:00Z", "event": "asked", "from": "2024-10-01T00:00:00Z", "to": "2024-10-02T00:00:00Z"}
    before, written = chain.START, b""
    for number, entry in enumerate((at, chain.checkpoint(before), at | {"records": 7, "who": "alice"}), start=1):
        line, before = chain.seal(Key(bytes(32)), before, {"n": number, "at": at["at"], **entry})
        written += line + b"\n"
    yield written
    for extreme in EXTREMES:
        body = b'{"n":' + extreme + b"}"
        yield body[:-1] + chain._tail(bytes(32)) + b"\n"


TARGETS = {
    "arrow": Target(partial(_batches, "arrow"), _batch_errors, _streams),
    "json-lines": Target(partial(_batches, "json_lines"), _batch_errors, lambda: [*LINES, *EXTREMES]),
    "pages": Target(_page_frames, _damaged, _frame_seeds),
    "exported cores": Target(_exported_cores, _damaged, _core_seeds),
    "definitions": Target(_definitions, _configuration, lambda: [DEFINITION.encode(), *EXTREMES]),
    "policies": Target(_policies, _configuration, lambda: [POLICY.encode(), *EXTREMES]),
    "master-key choices": Target(_choices, _configuration, lambda: [*CHOICES, *EXTREMES]),
    "master keys": Target(_master_keys, _configuration, _master_key_seeds),
    "keyring bodies": Target(_keyring_bodies, _configuration, _keyring_body_seeds),
    "backups": Target(_backups, _configuration, _backup_seeds, most_bytes=40_960),
    "audit logs": Target(_audit_logs, lambda: (), _audit_seeds),
}
