"""What every master key promises, whichever provider holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.proxy.errors import KeyringError, KeyUnavailableError
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store import store as trusted_store
from tests.integration.proxy.masterkeys.conftest import Provider

DATA_KEY = Key(b"0123456789abcdef" * 2)


def test_a_wrapped_key_opens_after_a_restart(provider: Provider) -> None:
    wrapped = provider.open().wrap(DATA_KEY, b"place")
    assert provider.open().unwrap(wrapped, b"place") == DATA_KEY


def test_a_wrapped_key_does_not_contain_the_key(provider: Provider) -> None:
    master = provider.open()
    first, second = master.wrap(DATA_KEY, b"place"), master.wrap(DATA_KEY, b"place")
    assert first != second
    assert DATA_KEY.reveal() not in first


def test_a_wrapped_key_opens_only_with_its_associated_data(provider: Provider) -> None:
    master = provider.open()
    wrapped = master.wrap(DATA_KEY, b"place")
    for place in (b"other place", b"plac", b"place\x00"):
        with pytest.raises(KeyUnavailableError):
            master.unwrap(wrapped, place)


def test_a_changed_wrapped_key_does_not_open(provider: Provider) -> None:
    master = provider.open()
    wrapped = master.wrap(DATA_KEY, b"place")
    for at in (len(wrapped) // 2, len(wrapped) - 2):
        changed = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
        with pytest.raises(KeyUnavailableError):
            master.unwrap(changed, b"place")


@pytest.mark.parametrize("wrapped", [b"", b"short", b"\xff" * 60])
def test_bytes_that_are_not_a_wrapped_key_do_not_open(provider: Provider, wrapped: bytes) -> None:
    with pytest.raises(KeyUnavailableError):
        provider.open().unwrap(wrapped, b"place")


def test_another_master_key_opens_nothing(provider: Provider) -> None:
    wrapped = provider.open().wrap(DATA_KEY, b"place")
    with pytest.raises(KeyringError):  # some providers report that it does not open, others that it is not their key
        provider.open_other().unwrap(wrapped, b"place")


def test_a_keyring_works_with_the_master_key(provider: Provider, tmp_path: Path) -> None:
    store = trusted_store.open_store(tmp_path / "trusted.db")
    keyring = Keyring(store, provider.open())
    key = keyring.ensure("wifi", 666)
    again = Keyring(store, provider.open())
    assert again.group_keys("wifi", key, "core") == keyring.group_keys("wifi", key, "core")
