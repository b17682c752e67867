"""The master key's file: only its passphrase opens it, and it is never overwritten."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError, WrongPassphraseError
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.home import Home

COST = masterkey.ARGON2


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its lowest cost, which most tests here are not about."""
    monkeypatch.setattr(masterkey, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})


def test_a_new_master_key_opens_with_its_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "home" / "master.key"
    wrapped = masterkey.create(file, "pass phrase").wrap(Key(b"k" * 32), b"place")
    assert masterkey.load(file, "pass phrase").unwrap(wrapped, b"place") == Key(b"k" * 32)


def test_deriving_from_a_passphrase_takes_64_mib_and_three_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masterkey, "ARGON2", COST)
    masterkey.create(tmp_path / "master.key", "x")
    made = json.loads((tmp_path / "master.key").read_text())
    assert (made["memory_kib"], made["iterations"]) == (64 * 1024, 3)


def test_the_file_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    masterkey.create(tmp_path / "master.key", "x")
    assert stat.S_IMODE((tmp_path / "master.key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    masterkey.create(tmp_path / "master.key", "right")
    with pytest.raises(WrongPassphraseError):
        masterkey.load(tmp_path / "master.key", "wrong")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"not json"])
def test_a_file_of_another_format_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "master.key").write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=r"master\.key: expected a file of format 'privacyplease master key v1'"
    ):
        masterkey.load(tmp_path / "master.key", "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"master\.key: expected"):
        masterkey.load(tmp_path / "master.key", "x")


def test_a_master_key_is_never_overwritten(tmp_path: Path) -> None:
    masterkey.create(tmp_path / "master.key", "x")
    before = (tmp_path / "master.key").read_bytes()
    with pytest.raises(ConfigurationError, match="exists already and is not overwritten"):
        masterkey.create(tmp_path / "master.key", "y")
    assert (tmp_path / "master.key").read_bytes() == before


def test_another_master_key_opens_nothing() -> None:
    wrapped = masterkey.LocalMasterKey(Key.generate()).wrap(Key.generate(), b"place")
    with pytest.raises(KeyUnavailableError):
        masterkey.LocalMasterKey(Key.generate()).unwrap(wrapped, b"place")


def test_wrapping_twice_gives_different_bytes() -> None:
    master = masterkey.LocalMasterKey(Key.generate())
    assert master.wrap(Key(bytes(32)), b"") != master.wrap(Key(bytes(32)), b"")


def test_a_home_without_a_passphrase_generates_one_and_opens_with_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    wrapped = home.master_key(None).wrap(Key(bytes(32)), b"")
    assert home.master_key(None).unwrap(wrapped, b"") == Key(bytes(32))
    assert stat.S_IMODE((tmp_path / "passphrase").stat().st_mode) == 0o600


def test_a_home_with_a_given_passphrase_requires_it(tmp_path: Path) -> None:
    Home(tmp_path).master_key("given")
    with pytest.raises(ConfigurationError, match="expected a passphrase, in PRIVACYPLEASE_PASSPHRASE"):
        Home(tmp_path).master_key(None)


def test_a_lost_master_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    Home(tmp_path).trusted_store.touch()
    with pytest.raises(ConfigurationError, match=r"master\.key: missing, but there are data keys that it wraps"):
        Home(tmp_path).master_key("x")


def test_master_keys_can_be_derived_concurrently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL takes the lanes' threads from a pool that concurrent derivations could exhaust or deadlock."""
    monkeypatch.setattr(masterkey, "ARGON2", {"iterations": 3, "lanes": 4, "memory_kib": 1024})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: masterkey.create(tmp_path / f"{number}.key", "x"), range(64)))
