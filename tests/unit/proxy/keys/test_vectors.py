"""Keys against the known answers of docs/FORMAT.md."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from unittest.mock import create_autospec

import numpy as np
import pytest
from sqlalchemy import Engine, insert

from privacyplease.proxy.keys import derivation, keyring, master_key, prf, wrapped_keys
from privacyplease.proxy.keys.dead_letters import LETTER_LABEL, DeadLetters, letters_of
from privacyplease.proxy.keys.derivation import GroupKeys, Key, KeyId, context, expand
from privacyplease.proxy.keys.epoch_keys import EpochKey, EpochKeys
from privacyplease.proxy.keys.providers.pkcs11 import HSM_LABEL, HsmMasterKey, KeyLocation
from privacyplease.proxy.keys.wrapped_keys import KeyName, WrappedKey
from privacyplease.proxy.manifest import head
from privacyplease.proxy.manifest.rows import ROW_LABEL
from privacyplease.proxy.segments.hashes import FILTER_LABEL, ROLLUP_LABEL
from privacyplease.proxy.trusted_store.tables import data_keys
from tests.vectors.known import EXPECTED, Vector, each, key, vectors

MANIFEST = wrapped_keys.manifest_of("wifi")

# Labels of the keys derived from an owner's data key, and the owner.
OF_ONE_OWNER = {
    (derivation.DIGEST_LABEL, "wifi"),
    (ROW_LABEL, MANIFEST),
    (FILTER_LABEL, MANIFEST),
    (ROLLUP_LABEL, MANIFEST),
    (LETTER_LABEL, letters_of("wifi")),
    (head.HEAD_LABEL, head.HEAD_OWNER),
    (head.HEAD_TAG_LABEL, head.HEAD_OWNER),
    (head.CHAIN_LABEL, head.HEAD_OWNER),
}


def test_cmac() -> None:
    for vector in vectors("cmac"):
        message = np.frombuffer(bytes.fromhex(vector["message"]), np.uint8)
        macs = prf.cmac(key(vector["key"]), np.tile(message, (prf.FEW + 1, 1)), np.full(prf.FEW + 1, len(message)))
        (one,) = prf.cmac_each(key(vector["key"]), [message.tobytes()])
        assert {mac.tobytes().hex() for mac in (*macs, one)} == {vector["mac"]}


def test_derived_keys() -> None:
    for vector in vectors("keys"):
        label, parts = vector["label"].encode(), vector["parts"]
        assert context(label, *parts).hex() == vector["info"]
        assert expand(key(vector["data_key"]), label, *parts) == key(vector["key"])


def test_keys_of_groups() -> None:
    purposes = {derivation.TAG_LABEL.decode(): "tag", derivation.CELL_LABEL.decode(): "cell"}
    of_groups = [vector for vector in vectors("keys") if len(vector["parts"]) == 2]
    assert {vector["label"] for vector in of_groups} == set(purposes)
    for vector in of_groups:
        keys = GroupKeys.derive(key(vector["data_key"]), *vector["parts"])
        assert getattr(keys, purposes[vector["label"]]) == key(vector["key"])


def test_labels_and_owners_of_other_keys() -> None:
    named = {(vector["label"].encode(), vector["parts"][0]) for vector in vectors("keys") if len(vector["parts"]) == 1}
    assert named == OF_ONE_OWNER


@each("wrapped_keys", opens=True)
def test_a_wrapped_key_opens(vector: Vector) -> None:
    assert associated(vector).hex() == vector["associated"]
    master = master_key.LocalMasterKey(key(vector["master_key"]))
    assert master.unwrap(bytes.fromhex(vector["wrapped"]), associated(vector)) == key(vector["data_key"])


@each("wrapped_keys", opens=False)
def test_a_wrapped_key_is_refused(vector: Vector) -> None:
    master = master_key.LocalMasterKey(key(vector["master_key"]))
    with pytest.raises(EXPECTED[vector["expected"]]):
        master.unwrap(bytes.fromhex(vector["wrapped"]), associated(vector))


class Hsm(HsmMasterKey):
    """An HSM whose secret is known."""

    def __init__(self, secret: bytes) -> None:
        super().__init__(KeyLocation("", "", "", ""), "")
        self._secret = secret

    def _wrap_key(self, salt: bytes) -> Key:
        return Key(hmac.digest(self._secret, context(HSM_LABEL, salt), "sha256"))


@each("erasable_keys", opens=True)
def test_an_erasable_key_opens(vector: Vector) -> None:
    assert wrapped_keys.associated(*erasable(vector)).hex() == vector["associated"]
    assert opened(vector) == key(vector["data_key"])


@each("erasable_keys", opens=False)
def test_an_erasable_key_is_refused(vector: Vector) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        opened(vector)


def erasable(vector: Vector) -> tuple[KeyName, EpochKey]:
    name = KeyName(vector["owner"], KeyId(vector["epoch"], vector["generation"]))
    return name, EpochKey("elsewhere", vector["kek_name"])


def opened(vector: Vector) -> Key:
    name, kek = erasable(vector)
    epoch_keys = create_autospec(EpochKeys, instance=True)
    epoch_keys.key.return_value = master_key.LocalMasterKey(key(vector["kek"]))
    wrapped = WrappedKey(bytes.fromhex(vector["wrapped"]), kek)
    return wrapped.open(name, master_key.LocalMasterKey(key(vector["master_key"])), epoch_keys)


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
    opened = master_key.load(written(vector, tmp_path), vector["passphrase"])
    sealed = opened.wrap(Key(bytes(32)), b"place")
    assert master_key.LocalMasterKey(key(vector["master_key"])).unwrap(sealed, b"place") == Key(bytes(32))


@each("master_keys", opens=False)
def test_a_master_key_file_is_refused(vector: Vector, tmp_path: Path) -> None:
    with pytest.raises(EXPECTED[vector["expected"]]):
        master_key.load(written(vector, tmp_path), vector["passphrase"])


@each("letters", opens=True)
def test_a_letter_opens(vector: Vector, store: Engine) -> None:
    assert open_letter(vector, store) == bytes.fromhex(vector["payload"])


@each("letters", opens=False)
def test_a_letter_is_refused(vector: Vector, store: Engine) -> None:
    assert vector["expected"] == "does not open"
    assert open_letter(vector, store) is None


def associated(vector: Vector) -> bytes:
    return wrapped_keys.associated(KeyName(vector["owner"], KeyId(vector["epoch"], vector["generation"])))


def written(vector: Vector, folder: Path) -> Path:
    file = folder / "master.key"
    file.write_text(json.dumps(vector["file"]))
    return file


def open_letter(vector: Vector, store: Engine) -> bytes | None:
    """Opens a vector's letter as the proxy does, with the vector's data key in the keyring."""
    master = master_key.LocalMasterKey(key("00" * 32))
    for owner in map(letters_of, ("wifi", "bikes")):
        wrapped = master.wrap(key(vector["data_key"]), wrapped_keys.associated(KeyName(owner, KeyId(vector["epoch"]))))
        with store.begin() as connection:
            row = {"dataset": owner, "epoch": vector["epoch"], "generation": 0, "wrapped": wrapped, "made_at": 0}
            connection.execute(insert(data_keys).values(row))
    return DeadLetters(keyring.Keyring(store, master)).open(bytes.fromhex(vector["letter"]), vector["dataset"])
