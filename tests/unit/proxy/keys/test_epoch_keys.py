"""A data key lies under a key of its own: without that, neither a copy of its row nor the master key opens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError, MasterKeyUnavailableError
from privacyplease.proxy.keys import wrapped_keys
from privacyplease.proxy.keys.dead_letters import letters_of
from privacyplease.proxy.keys.derivation import Key, KeyId
from privacyplease.proxy.keys.epoch_key_files import EpochKeyFiles
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.epoch_keys import EpochKey, EpochKeys
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.keys.wrapped_keys import KeyName, WrappedKey, manifest_of
from privacyplease.proxy.trusted_store.tables import data_keys, epoch_keys

MASTER = LocalMasterKey(Key(bytes(32)))
WIFI = KeyName("wifi", KeyId(666))


@pytest.fixture
def files(tmp_path: Path) -> EpochKeyFiles:
    return EpochKeyFiles(tmp_path / "epoch-keys")


def opened(store: Engine, files: EpochKeyFiles | None, *former: EpochKeyFiles) -> Keyring:
    places = {holder.place: holder for holder in former}
    return Keyring(store, MASTER, epoch_keys=EpochKeys(store, files, places.__getitem__))


def row(store: Engine, name: KeyName = WIFI) -> WrappedKey:
    with store.connect() as connection:
        return wrapped_keys.stored(connection)[name]


def derived(keyring: Keyring, name: KeyName = WIFI) -> Key:
    return keyring.derived(*name, b"label")


def test_a_copied_row_opens_with_the_master_key_only_as_long_as_its_own_key_exists(
    store: Engine, files: EpochKeyFiles
) -> None:
    opened(store, files).ensure("wifi", 666)
    copy, keys = row(store), EpochKeys(store, files)
    assert copy.kek is not None
    assert copy.open(WIFI, MASTER, keys).reveal()
    keys.destroy(epoch_keys.c.name == copy.kek.name)
    with pytest.raises(KeyUnavailableError):
        copy.open(WIFI, MASTER, keys)
    inner = MASTER.unwrap(copy.wrapped, wrapped_keys.associated(WIFI, copy.kek)).reveal()
    assert len(inner) == 60  # still wrapped


def test_a_destroyed_file_was_overwritten_before_it_was_deleted(files: EpochKeyFiles, tmp_path: Path) -> None:
    name = files.make()
    (file,) = tmp_path.glob("epoch-keys/*.key")
    link = tmp_path / "link"
    link.hardlink_to(file)
    assert file.stat().st_mode & 0o777 == 0o600
    files.destroy(name)
    assert not file.exists()
    assert set(link.read_bytes()) == {0}
    files.destroy(name)  # repeating it is safe


def test_an_empty_mount_point_is_not_taken_for_destroyed_keys(files: EpochKeyFiles, tmp_path: Path) -> None:
    name = files.make()
    (tmp_path / "epoch-keys").rename(tmp_path / "elsewhere")
    (tmp_path / "epoch-keys").mkdir(mode=0o700)
    for use in (files.exists, files.destroy, files.key):
        with pytest.raises(MasterKeyUnavailableError):
            use(name)
    assert EpochKeyFiles(tmp_path / "epoch-keys").place != files.place
    assert (tmp_path / "elsewhere" / f"{name}.key").exists()


def test_a_store_is_not_opened_with_another_folder_than_the_one_that_it_names(store: Engine, tmp_path: Path) -> None:
    holders = EpochKeyHolders(Home(tmp_path / "home"), tmp_path / "mounted")
    Keyring(store, MASTER, epoch_keys=holders.open(store, "passphrase")).ensure("wifi", 666)
    (tmp_path / "mounted").rename(tmp_path / "unmounted")
    with pytest.raises(ConfigurationError, match="mounted: expected the folder of key-encryption keys"):
        holders.open(store, "passphrase")
    moved = EpochKeyHolders(Home(tmp_path / "home"), tmp_path / "unmounted")
    assert derived(Keyring(store, MASTER, epoch_keys=moved.open(store, "passphrase")))


def test_keys_that_outlive_epochs_need_no_key_of_their_own(store: Engine, files: EpochKeyFiles) -> None:
    keyring = opened(store, files)
    for owner in ("wifi", letters_of("wifi"), manifest_of("wifi"), "/manifest", "/audit"):
        keyring.ensure(owner, 0)
    with store.connect() as connection:
        assert set(connection.scalars(select(epoch_keys.c.dataset))) == {"wifi", letters_of("wifi")}


def test_a_store_from_before_is_opened_and_its_keys_get_a_key_of_their_own(store: Engine, files: EpochKeyFiles) -> None:
    before = opened(store, None)
    before.ensure("wifi", 666)
    before.ensure("/audit", 0)
    assert row(store).kek is None
    after = opened(store, files)
    assert derived(after) == derived(before)
    assert after.adopt() == 1
    assert row(store).kek is not None
    assert row(store, KeyName("/audit", KeyId(0))).kek is None
    assert derived(opened(store, files)) == derived(before)
    assert after.adopt() == 0


def test_keys_move_to_another_holder_and_those_at_the_former_one_are_destroyed(
    store: Engine, files: EpochKeyFiles, tmp_path: Path
) -> None:
    keyring = opened(store, files)
    keyring.ensure("wifi", 666)
    other = EpochKeyFiles(tmp_path / "other")
    assert opened(store, other, files).adopt() == 1
    assert derived(opened(store, other)) == derived(keyring)
    assert list(tmp_path.glob("epoch-keys/*.key")) == []


def test_a_key_that_another_proxy_made_first_leaves_no_unused_key_behind(
    store: Engine, files: EpochKeyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = opened(store, files), opened(store, files)

    def overtaken(_name: KeyName) -> None:
        monkeypatch.undo()
        first.ensure("wifi", 666)

    monkeypatch.setattr(second, "_find", overtaken)
    second.ensure("wifi", 666)
    assert derived(first) == derived(second)
    assert len(list(tmp_path.glob("epoch-keys/*.key"))) == 1


def test_the_key_of_one_row_does_not_open_another(store: Engine, files: EpochKeyFiles) -> None:
    keyring = opened(store, files)
    keyring.ensure("wifi", 666)
    keyring.ensure("wifi", 667)
    one, other = row(store), row(store, KeyName("wifi", KeyId(667)))
    with store.begin() as connection:
        connection.execute(update(data_keys).where(data_keys.c.epoch == 666).values(wrapped=other.wrapped))
    with pytest.raises(KeyUnavailableError):
        derived(opened(store, files))
    assert one.kek != other.kek
    assert isinstance(one.kek, EpochKey)
