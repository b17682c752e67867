"""What every holder of key-encryption keys promises, whichever it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from privacyplease.proxy.errors import KeyringError, KeyUnavailableError, MasterKeyRefusedError
from privacyplease.proxy.keys.derivation import Key, KeyId
from privacyplease.proxy.keys.epoch_key_files import EpochKeyFiles
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders, check
from privacyplease.proxy.keys.epoch_keys import EpochKeyHolder, EpochKeys
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.keys.providers import open_epoch_keys
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.tables import epoch_keys
from tests.services.openbao import OpenBao
from tests.services.softhsm import PIN, SoftHsm

DATA_KEY = Key(b"0123456789abcdef" * 2)


class Holder(NamedTuple):
    """A holder, opened as by a proxy that starts, and by what it is chosen."""

    open: Callable[[], EpochKeyHolder]


@pytest.fixture(params=["files", "vault", "pkcs11"])
def holder(request: pytest.FixtureRequest, tmp_path: Path) -> Holder:
    """Each holder in turn."""
    if request.param == "files":
        return Holder(lambda: EpochKeyFiles(tmp_path / "epoch-keys"))
    if request.param == "vault":
        bao: OpenBao = request.getfixturevalue("bao")
        return Holder(lambda: held(bao.choice("records"), {"VAULT_TOKEN": bao.token}))
    hsm: SoftHsm = request.getfixturevalue("hsm")
    return Holder(lambda: held(hsm.choice("proxy", "records"), {"PRIVACYPLEASE_PKCS11_PIN": PIN}))


def held(choice: str, environment: dict[str, str]) -> EpochKeyHolder:
    holder = open_epoch_keys(choice, environment)
    assert holder is not None
    return holder


def test_a_key_opens_what_it_wrapped_after_a_restart_until_it_is_destroyed(holder: Holder) -> None:
    name = holder.open().make()
    wrapped = holder.open().key(name).wrap(DATA_KEY, b"place")
    assert holder.open().key(name).unwrap(wrapped, b"place") == DATA_KEY
    assert holder.open().exists(name)
    holder.open().destroy(name)
    assert not holder.open().exists(name)
    with pytest.raises(KeyringError):
        holder.open().key(name).unwrap(wrapped, b"place")
    holder.open().destroy(name)  # repeating it is safe


def test_destroying_one_key_leaves_the_others(holder: Holder) -> None:
    one, other = holder.open().make(), holder.open().make()
    wrapped = holder.open().key(other).wrap(DATA_KEY, b"place")
    holder.open().destroy(one)
    assert holder.open().key(other).unwrap(wrapped, b"place") == DATA_KEY
    with pytest.raises(KeyUnavailableError):
        holder.open().key(other).unwrap(wrapped, b"another place")


def test_a_copied_row_does_not_open_once_its_key_is_destroyed(holder: Holder, tmp_path: Path) -> None:
    store = trusted_store.open_store(tmp_path / "trusted.db")
    master = LocalMasterKey(Key(bytes(32)))

    def opened() -> Key:
        return Keyring(store, master, epoch_keys=EpochKeys(store, holder.open())).digest_key("wifi", KeyId(666))

    Keyring(store, master, epoch_keys=EpochKeys(store, holder.open())).ensure("wifi", 666)
    copy = store.connect().execute(epoch_keys.select()).all()
    assert opened() == opened()
    EpochKeys(store, holder.open()).destroy(epoch_keys.c.epoch == 666)
    with store.begin() as connection:  # as if the whole row had been restored from a dump
        connection.execute(epoch_keys.insert(), [row._asdict() for row in copy])
    with pytest.raises(KeyringError):
        opened()


def test_it_is_tried_when_a_proxy_starts_and_leaves_nothing_behind(holder: Holder) -> None:
    check(holder.open())


def test_a_vault_token_that_may_not_make_keys_is_refused_at_the_start(bao: OpenBao) -> None:
    token = bao.limited_token(
        *('path "transit/keys/records" { capabilities = ["read"] }',),
        *(f'path "transit/{use}/records" {{ capabilities = ["update"] }}' for use in ("encrypt", "decrypt")),
    )
    with pytest.raises(MasterKeyRefusedError, match="may not use this key"):
        check(held(bao.choice("records"), {"VAULT_TOKEN": token}))


def test_the_documented_vault_policy_is_enough(bao: OpenBao) -> None:
    token = bao.limited_token(
        'path "transit/keys/records" { capabilities = ["read"] }',
        'path "transit/keys/records-*" { capabilities = ["create", "update", "read", "delete"] }',
        *(f'path "transit/{use}/records-*" {{ capabilities = ["update"] }}' for use in ("encrypt", "decrypt")),
    )
    check(held(bao.choice("records"), {"VAULT_TOKEN": token}))


def test_a_vault_without_the_mount_is_not_taken_for_one_that_destroyed_the_key(bao: OpenBao) -> None:
    bao.ask("POST", "sys/mounts/second", type="transit")
    bao.ask("POST", "second/keys/records")
    holder = held(bao.choice("records").replace("/transit/", "/second/"), {"VAULT_TOKEN": bao.token})
    name = holder.make()
    bao.ask("DELETE", "sys/mounts/second")
    with pytest.raises(KeyringError):
        holder.exists(name)
    with pytest.raises(KeyringError):
        holder.destroy(name)


def test_vault_neither_exports_nor_backs_up_a_key(bao: OpenBao) -> None:
    name = held(bao.choice("records"), {"VAULT_TOKEN": bao.token}).make()
    for path in (f"transit/export/encryption-key/{name}", f"transit/backup/{name}"):
        with pytest.raises(requests.HTTPError):
            bao.ask("GET", path)


def test_keys_stay_with_the_vault_unless_a_folder_is_chosen(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "VAULT_TOKEN", bao.token)
    home, choice = Home(tmp_path / "home"), bao.choice("records")
    beside = EpochKeyHolders(home, shared=True).beside(choice)
    assert beside is not None
    assert beside.place == choice
    chosen = EpochKeyHolders(home, tmp_path / "keys", shared=True)
    assert isinstance(chosen.beside(choice), EpochKeyFiles)
    assert chosen.at(choice).place == choice  # those from before are still opened
    assert EpochKeyHolders(home, shared=True).beside("passphrase") is None
    assert isinstance(EpochKeyHolders(home).beside("aws-kms:arn"), EpochKeyFiles)
    with pytest.raises(KeyUnavailableError):
        EpochKeyHolders(home).at("files:of another folder")
