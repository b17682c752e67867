"""The keyring: an independent key for each (data set, epoch), bound to its row."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys.derivation import Key, KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.trusted_store.tables import data_keys

MASTER = LocalMasterKey(Key(bytes(32)))


def test_a_key_outlives_the_process(store: Engine, keyring: Keyring) -> None:
    keyring.ensure("wifi", 666)
    assert Keyring(store, MASTER).group_keys("wifi", KeyId(666), "core") == keyring.group_keys(
        "wifi", KeyId(666), "core"
    )


def test_epochs_data_sets_and_groups_have_their_own_keys(keyring: Keyring) -> None:
    for place in (("wifi", 666), ("wifi", 667), ("badges", 666)):
        keyring.ensure(*place)
    keys = [("wifi", KeyId(666)), ("wifi", KeyId(667)), ("badges", KeyId(666))]
    places = [*((*key, "core") for key in keys), ("wifi", KeyId(666), "rest")]
    tag_keys = [keyring.group_keys(*place).tag.reveal() for place in places]
    assert len(set(tag_keys)) == len(places)


def test_epochs_are_listed_ascending(keyring: Keyring) -> None:
    for epoch in (667, 12, 666):
        keyring.ensure("wifi", epoch)
    assert keyring.epochs("wifi") == [12, 666, 667]
    assert keyring.epochs("badges") == []


def test_a_missing_key_is_reported_with_its_epoch(keyring: Keyring) -> None:
    with pytest.raises(KeyUnavailableError, match="'wifi' has no key for epoch 1"):
        keyring.group_keys("wifi", KeyId(1), "core")


@pytest.mark.parametrize(
    "place", [{"epoch": 667}, {"dataset": "badges"}, {"generation": 1}], ids=["epoch", "data set", "generation"]
)
def test_a_wrapped_key_moved_to_another_row_does_not_open(
    store: Engine, keyring: Keyring, place: dict[str, Any]
) -> None:
    keyring.ensure("wifi", 666)
    moved: dict[str, Any] = {"dataset": "wifi", "epoch": 666, "generation": 0, "made_at": 0} | place
    with store.begin() as connection:
        wrapped = connection.scalar(select(data_keys.c.wrapped))
        connection.execute(insert(data_keys).values(wrapped=wrapped, **moved))
    with pytest.raises(KeyUnavailableError):
        Keyring(store, MASTER).group_keys(moved["dataset"], KeyId(moved["epoch"], moved["generation"]), "core")


def test_a_damaged_key_does_not_open(store: Engine, keyring: Keyring) -> None:
    keyring.ensure("wifi", 666)
    with store.begin() as connection:
        connection.execute(update(data_keys).values(wrapped=b"short"))
    with pytest.raises(KeyUnavailableError):
        Keyring(store, MASTER).group_keys("wifi", KeyId(666), "core")


def test_another_master_key_opens_no_key(store: Engine, keyring: Keyring) -> None:
    keyring.ensure("wifi", 666)
    with pytest.raises(KeyUnavailableError):
        Keyring(store, LocalMasterKey(Key.generate())).group_keys("wifi", KeyId(666), "core")


def test_concurrent_proxies_agree_on_one_key(store: Engine) -> None:
    rings = [Keyring(store, MASTER) for _ in range(8)]
    together = threading.Barrier(len(rings))

    def make(ring: Keyring) -> bytes:
        together.wait()
        ring.ensure("wifi", 666)
        return ring.group_keys("wifi", KeyId(666), "core").cell.reveal()

    with ThreadPoolExecutor(len(rings)) as threads:
        assert len(set(threads.map(make, rings))) == 1


def test_a_renewed_key_is_new_and_the_old_one_still_opens(store: Engine, keyring: Keyring) -> None:
    first = keyring.ensure("wifi", 666)
    second = keyring.renew("wifi", 666)
    assert (first, second) == (KeyId(666, 0), KeyId(666, 1))
    assert keyring.ensure("wifi", 666) == Keyring(store, MASTER).ensure("wifi", 666) == second
    assert keyring.generations("wifi", 666) == [first, second]
    old, new = (keyring.group_keys("wifi", key, "core") for key in (first, second))
    assert old.cell != new.cell
    assert keyring.digest_key("wifi", first) != keyring.digest_key("wifi", second)
