"""The code against the committed known answers of docs/FORMAT.md, which an independent script made."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, insert

from privacyplease.proxy import cells, rollups, sethash, tags
from privacyplease.proxy.cells import Opener, Sealer, padme
from privacyplease.proxy.errors import (
    CellDamagedError,
    ConfigurationError,
    KeyUnavailableError,
    WrongPassphraseError,
)
from privacyplease.proxy.keys import derivation as keys
from privacyplease.proxy.keys import keyring, prf
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.keys.dead_letters import Letters
from privacyplease.proxy.keys.derivation import IndexKeys, Key, context
from privacyplease.proxy.keys.providers.pkcs11 import HSM_LABEL, HsmMasterKey, Place
from privacyplease.proxy.layouts import Layout, Layouts
from privacyplease.proxy.records.columns import ColumnType, read
from privacyplease.proxy.trusted_store import store as trusted_store
from tests.vectors import make

EXPECTED = {
    "cell damaged": CellDamagedError,
    "key unavailable": KeyUnavailableError,
    "wrong passphrase": WrongPassphraseError,
    "bad file": ConfigurationError,
}

Vector = dict[str, Any]


def vectors(name: str) -> list[Vector]:
    return json.loads((make.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def each(name: str, *, opens: bool) -> pytest.MarkDecorator:
    good, *refused = vectors(name)
    chosen = [good] if opens else [good | vector for vector in refused]
    assert all((vector["expected"] == "opens") == opens for vector in chosen)
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


def key(text: str) -> Key:
    return Key(bytes.fromhex(text))


@pytest.mark.parametrize("name", sorted(set(make.FILES) - make.DEPENDS_ON_LIBRARY_VERSIONS))
def test_the_committed_file_is_what_the_script_makes(name: str) -> None:
    assert (make.FOLDER / f"{name}.json").read_text(encoding="utf-8") == make.text(name)


def test_cmac() -> None:
    for vector in vectors("cmac"):
        message = np.frombuffer(bytes.fromhex(vector["message"]), np.uint8)
        mac = prf.cmac(key(vector["key"]), message[None, :], np.array([len(message)]))
        assert mac.tobytes().hex() == vector["mac"]


def test_derived_keys() -> None:
    for vector in vectors("keys"):
        derived = IndexKeys.derive(key(vector["data_key"]), vector["dataset"], vector["index"])
        labels = {"tag": keys.TAG_LABEL, "bin": keys.BIN_LABEL, "cell": keys.CELL_LABEL, "ledger": keys.LEDGER_LABEL}
        for purpose, label in labels.items():
            assert context(label, vector["dataset"], vector["index"]).hex() == vector[f"{purpose}_info"]
            assert getattr(derived, purpose) == key(vector[f"{purpose}_key"])


def test_tags() -> None:
    for vector in vectors("tags"):
        place = [np.array([vector[part]]) for part in ("level", "bucket", "bin")]
        assert tags.tags(key(vector["key"]), *place).tobytes().hex() == vector["tag"]


def test_set_hashes() -> None:
    for vector in vectors("set_hashes"):
        octets = "".join(cell["tag"] + cell["cell_id"] for cell in vector["set"])
        names = np.frombuffer(bytes.fromhex(octets), np.uint8).reshape(-1, 32)
        members = sethash.entries(key(vector["key"]), names[:, :16], names[:, 16:])
        (total,) = sethash.sums(members, np.zeros(len(names), np.int64), 1).tolist()
        assert total == [vector["cells"], *vector["hash"]]


def test_bins() -> None:
    for vector in vectors("bins"):
        kind = ColumnType(vector["type"])
        stored = read(pa.array([vector["value"]]), kind).values
        assert tags.bins(key(vector["key"]), stored, kind, vector["bins"]).tolist() == [vector["bin"]]


def test_roll_ups() -> None:
    for vector in vectors("rollups"):
        derived = keys.expand(key(vector["data_key"]), rollups.ROLLUP_LABEL, f"{vector['dataset']}/rollups")
        assert derived == key(vector["key"])
        kind = ColumnType(vector["type"])
        hashed = tags.hashes(derived, read(pa.array(vector["values"]), kind).values, kind).view(np.int64)
        assert hashed.tolist() == vector["hashes"]
        assert rollups.sketch(pa.array(hashed)).serialize().hex() == vector["sketch"]


def test_padded_lengths() -> None:
    for vector in vectors("padme"):
        assert padme(vector["length"]) == vector["padded"]


@each("wrapped_keys", opens=True)
def test_a_wrapped_key_opens(vector: Vector) -> None:
    associated = keyring._associated(vector["dataset"], vector["epoch"])
    assert associated.hex() == vector["associated"]
    master = masterkey.LocalMasterKey(key(vector["master_key"]))
    assert master.unwrap(bytes.fromhex(vector["wrapped"]), associated) == key(vector["data_key"])


@each("wrapped_keys", opens=False)
def test_a_wrapped_key_is_refused(vector: Vector) -> None:
    master = masterkey.LocalMasterKey(key(vector["master_key"]))
    with pytest.raises(EXPECTED[vector["expected"]]):
        master.unwrap(bytes.fromhex(vector["wrapped"]), keyring._associated(vector["dataset"], vector["epoch"]))


class Hsm(HsmMasterKey):
    """Its secret is known here."""

    def __init__(self, secret: bytes) -> None:
        super().__init__(Place("", "", "", ""), "")
        self._secret = secret

    def _wrap_key(self, salt: bytes) -> Key:
        return Key(hmac.digest(self._secret, context(HSM_LABEL, salt), "sha256"))


@each("hsm_keys", opens=True)
def test_a_key_wrapped_under_an_hsm_opens(vector: Vector) -> None:
    master = Hsm(bytes.fromhex(vector["secret"]))
    opened = master.unwrap(bytes.fromhex(vector["wrapped"]), bytes.fromhex(vector["associated"]))
    assert opened == key(vector["data_key"])


@each("hsm_keys", opens=False)
def test_a_key_wrapped_under_an_hsm_is_refused(vector: Vector) -> None:
    master = Hsm(bytes.fromhex(vector["secret"]))
    with pytest.raises(EXPECTED[vector["expected"]]):
        master.unwrap(bytes.fromhex(vector["wrapped"]), bytes.fromhex(vector["associated"]))


@each("master_keys", opens=True)
def test_a_master_key_file_opens(vector: Vector, tmp_path: Path) -> None:
    opened = masterkey.load(written(vector, tmp_path), vector["passphrase"])
    sealed = opened.wrap(Key(bytes(32)), b"place")
    assert masterkey.LocalMasterKey(key(vector["master_key"])).unwrap(sealed, b"place") == Key(bytes(32))


@each("master_keys", opens=False)
def test_a_master_key_file_is_refused(vector: Vector, tmp_path: Path) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        masterkey.load(written(vector, tmp_path), vector["passphrase"])


@each("cells", opens=True)
def test_a_cell_opens_to_its_records(vector: Vector, tmp_path: Path) -> None:
    batch = open_cell(vector, tmp_path)
    assert [column.cast(target).to_pylist() for column, target in zip(batch, PLAIN, strict=True)] == [
        list(column) for column in zip(*vector["records"], strict=True)
    ]


@each("cells", opens=True)
def test_a_cell_is_its_page_sealed_for_its_place(vector: Vector) -> None:
    nonce, page = bytes.fromhex(vector["nonce"]), bytes.fromhex(vector["page"])
    ciphertext = AESGCM(bytes.fromhex(vector["cell_key"])).encrypt(nonce, page, bytes.fromhex(vector["associated"]))
    assert (cells.VERSION + nonce + ciphertext).hex() == vector["sealed"]
    assert len(page) == padme(len(page)) == cells.LEAST_PAGE_BYTES


@each("cells", opens=True)
def test_the_sealer_writes_the_format(vector: Vector, tmp_path: Path) -> None:
    batch = open_cell(vector, tmp_path)
    layout = Layout.make(vector["layout"], pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(vector["arrow_schema"]))))
    sealer = Sealer(key(vector["cell_key"]), layout, vector["dataset"], vector["index"])
    sealed = sealer.seal(batch, *(bytes.fromhex(vector[part]) for part in ("tag", "cell_id", "nonce")))
    aead = AESGCM(bytes.fromhex(vector["cell_key"]))
    page = aead.decrypt(sealed[1:13], sealed[13:], bytes.fromhex(vector["associated"]))
    length = int.from_bytes(page[4:8], "big")
    assert layout.dictionary.hex() == vector["dictionary"]
    assert sealed[:13].hex() == "01" + vector["nonce"]
    assert page[:4] == (vector["layout"]).to_bytes(4, "big")
    assert page[8 + length :] == bytes(cells.LEAST_PAGE_BYTES - 8 - length)
    assert layout.decompressor().decompress(page[8 : 8 + length]) == batch.serialize().to_pybytes()


@each("cells", opens=False)
def test_a_cell_is_refused(vector: Vector, tmp_path: Path) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        open_cell(vector, tmp_path)


@each("letters", opens=True)
def test_a_letter_opens(vector: Vector, store: Engine) -> None:
    assert open_letter(vector, store) == bytes.fromhex(vector["payload"])


@each("letters", opens=False)
def test_a_letter_is_refused(vector: Vector, store: Engine) -> None:
    assert open_letter(vector, store) is None


PLAIN = (pa.int64(), pa.string(), pa.int64(), pa.int64())


def written(vector: Vector, folder: Path) -> Path:
    file = folder / "master.key"
    file.write_text(json.dumps(vector["file"]))
    return file


def open_letter(vector: Vector, store: Engine) -> bytes | None:
    """Opens a vector's letter as the proxy does, with the vector's data key in the keyring."""
    master = masterkey.LocalMasterKey(key("00" * 32))
    for owner in ("wifi/letters", "bikes/letters"):
        wrapped = master.wrap(key(vector["data_key"]), keyring._associated(owner, vector["epoch"]))
        with store.begin() as connection:
            row = {"dataset": owner, "epoch": vector["epoch"], "wrapped": wrapped}
            connection.execute(insert(trusted_store.data_keys).values(row))
    return Letters(keyring.Keyring(store, master)).open(bytes.fromhex(vector["letter"]), vector["dataset"])


def open_cell(vector: Vector, folder: Path) -> pa.RecordBatch:
    """Opens a vector's cell as the proxy does, with the vector's layout in the trusted store."""
    schema = bytes.fromhex(vector["arrow_schema"])
    store = trusted_store.open_store(folder / "trusted.db")
    layout = {"layout": vector["layout"], "arrow_schema": schema, "dictionary": bytes.fromhex(vector["dictionary"])}
    with store.begin() as connection:
        row = {"dataset": vector["dataset"], "index_name": vector["index"], **layout}
        connection.execute(insert(trusted_store.layouts).values(row))
    wanted = pa.ipc.read_schema(pa.py_buffer(schema))
    opener = Opener(key(vector["cell_key"]), Layouts(store), vector["dataset"], vector["index"], wanted)
    return opener.open(*(bytes.fromhex(vector[part]) for part in ("sealed", "tag", "cell_id")))
