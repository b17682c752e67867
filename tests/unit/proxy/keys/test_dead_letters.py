"""Dead letters open only unchanged, and only for the data set that they were sealed for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from privacyplease.proxy.keys.dead_letters import VERSION, DeadLetters
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.trusted_store.tables import data_keys

PAYLOADS = [b"", b"\x00\xff not UTF-8", b"x" * 1_000_000]
EPOCH = 666
OVERHEAD = 1 + 8 + 12 + 16  # version, epoch, nonce, GCM tag


@pytest.fixture
def letters(keyring: Keyring) -> DeadLetters:
    return DeadLetters(keyring)


def test_a_letter_opens_to_what_was_sealed(letters: DeadLetters) -> None:
    sealed = letters.seal(PAYLOADS, "wifi", EPOCH)
    assert [letters.open(letter, "wifi") for letter in sealed] == PAYLOADS
    assert [len(letter) for letter in sealed] == [len(payload) + OVERHEAD for payload in PAYLOADS]


def test_a_letter_outlives_the_process(store: Engine, letters: DeadLetters) -> None:
    (letter,) = letters.seal([b"message"], "wifi", EPOCH)
    restarted = DeadLetters(Keyring(store, LocalMasterKey(Key(bytes(32)))))
    assert restarted.open(letter, "wifi") == b"message"


def test_a_letter_shows_nothing_of_its_payload_and_differs_each_time(letters: DeadLetters) -> None:
    first, second = letters.seal([b"aa:bb:cc:dd:ee:ff"] * 2, "wifi", EPOCH)
    assert first != second
    assert b"aa:bb" not in first


def test_letters_of_another_data_set_do_not_open(letters: DeadLetters) -> None:
    (letter,) = letters.seal([b"message"], "wifi", EPOCH)
    letters.seal([b"so that there is a key"], "bikes", EPOCH)
    assert letters.open(letter, "bikes") is None


def test_a_letter_moved_to_another_epoch_does_not_open(letters: DeadLetters) -> None:
    (letter,) = letters.seal([b"message"], "wifi", EPOCH)
    letters.seal([b"so that there is a key"], "wifi", EPOCH + 1)
    moved = VERSION + (EPOCH + 1).to_bytes(8, "big") + letter[9:]
    assert letters.open(moved, "wifi") is None


def test_letters_of_an_erased_epoch_do_not_open(store: Engine, letters: DeadLetters) -> None:
    (letter,) = letters.seal([b"message"], "wifi", EPOCH)
    with store.begin() as connection:
        connection.execute(delete(data_keys))
    assert DeadLetters(Keyring(store, LocalMasterKey(Key(bytes(32))))).open(letter, "wifi") is None


def test_letters_have_a_key_of_their_own(keyring: Keyring, letters: DeadLetters) -> None:
    letters.seal([b"message"], "wifi", EPOCH)
    assert keyring.epochs("wifi") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, OVERHEAD + 6), bit=st.integers(0, 7))
def test_a_changed_bit_anywhere_is_noticed(letters: DeadLetters, at: int, bit: int) -> None:
    (letter,) = letters.seal([b"message"], "wifi", EPOCH)
    changed = bytearray(letter)
    changed[at] ^= 1 << bit
    assert letters.open(bytes(changed), "wifi") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(noise=st.binary(max_size=60), keep=st.integers(0, OVERHEAD))
def test_bytes_that_are_not_a_letter_do_not_open(letters: DeadLetters, noise: bytes, keep: int) -> None:
    (letter,) = letters.seal([b"message"], "wifi", EPOCH)
    assert letters.open(noise, "wifi") is None
    assert letters.open(letter[:keep], "wifi") is None
    assert letters.open(letter + noise, "wifi") is None or not noise
