"""Predicates: the tags where an answer can lie, and no others."""

from __future__ import annotations

import pyarrow as pa
import pytest
from sqlalchemy import Engine, delete

from privacyplease.proxy.errors import KeyUnavailableError, PredicateTooLargeError
from privacyplease.proxy.holdings import Held, OpenBucket, Place, Run
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.sealing import Bucket
from privacyplease.proxy.trusted_store.store import data_keys

DEVICE = pa.array([0xAABBCCDDEEFF])


@pytest.fixture
def filled(keyring: Keyring) -> Keyring:
    for epoch in (0, 1):
        keyring.ensure("wifi", epoch)
    return keyring


def held(*places: tuple[int, int, int] | int) -> list[Place]:
    """Open buckets (epoch, level, number), and runs of epoch 0 by their number."""
    buckets = [OpenBucket(place[0], Bucket(*place[1:]), 1, 1, 1, 0, 0) for place in places if isinstance(place, tuple)]
    runs = [Run(place, 0, 0, 1, 1, 0, 0, 1, 1) for place in places if isinstance(place, int)]
    return Held(0, 0, buckets, runs).places


EVERYTHING = held((0, 0, 7), (0, 1, 7), (1, 0, 720), 7, 8)


def test_a_key_asks_for_one_bin_and_no_key_for_every_one(wifi: Dataset, filled: Keyring) -> None:
    index = wifi.index("subject")
    one = predicate(wifi, index, EVERYTHING, DEVICE, filled)
    every = predicate(wifi, index, EVERYTHING, None, filled)
    assert len(one) == 5
    assert len(every) == 8 * len(one)
    assert one.items() <= every.items()


def test_each_tag_knows_its_epoch(wifi: Dataset, filled: Keyring) -> None:
    assert sorted(predicate(wifi, wifi.index("subject"), EVERYTHING, DEVICE, filled).values()) == [0, 0, 0, 0, 1]


def test_nothing_is_asked_where_no_data_is(wifi: Dataset, filled: Keyring) -> None:
    assert predicate(wifi, wifi.index("subject"), held(), DEVICE, filled) == {}


def test_a_question_beyond_the_bound_is_refused_before_any_work(wifi: Dataset, filled: Keyring) -> None:
    index = wifi.index("subject")
    wanted = len(predicate(wifi, index, EVERYTHING, None, filled))
    assert len(predicate(wifi, index, EVERYTHING, None, filled, most_tags=wanted)) == wanted
    with pytest.raises(PredicateTooLargeError) as refused:
        predicate(wifi, index, EVERYTHING, None, filled, most_tags=wanted - 1)
    assert refused.value.metadata == {"tags": str(wanted), "limit": str(wanted - 1)}


def test_an_epoch_that_is_not_asked_about_needs_no_key(wifi: Dataset, filled: Keyring, store: Engine) -> None:
    with store.begin() as connection:
        connection.execute(delete(data_keys).where(data_keys.c.epoch == 1))
    fresh = Keyring(store, LocalMasterKey(Key(bytes(32))))
    index = wifi.index("subject")
    assert predicate(wifi, index, held((0, 0, 7), 7), DEVICE, fresh)
    with pytest.raises(KeyUnavailableError):
        predicate(wifi, index, EVERYTHING, DEVICE, fresh)


def test_several_keys_ask_for_their_bins_once_each(wifi: Dataset, filled: Keyring) -> None:
    index = wifi.index("subject")
    one = predicate(wifi, index, EVERYTHING, DEVICE, filled)
    assert predicate(wifi, index, EVERYTHING, pa.concat_arrays([DEVICE, DEVICE]), filled) == one
    many = predicate(wifi, index, EVERYTHING, pa.array(range(1_000)), filled)
    assert many == predicate(wifi, index, EVERYTHING, None, filled)
