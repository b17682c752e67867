"""Predicates: the tags where an answer can lie, and no others."""

from __future__ import annotations

import pyarrow as pa
import pytest
from sqlalchemy import Engine, delete

from privacyplease.proxy.dataset import Dataset
from privacyplease.proxy.errors import KeyUnavailableError, PredicateTooLargeError
from privacyplease.proxy.keyring import Keyring
from privacyplease.proxy.keys import Key
from privacyplease.proxy.masterkey import LocalMasterKey
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.timeline import Extent, Interval
from privacyplease.proxy.trusted_store import data_keys

HOUR = 3_600_000
EPOCH = 720 * HOUR
DEVICE = pa.array([0xAABBCCDDEEFF])


@pytest.fixture
def filled(keyring: Keyring) -> Keyring:
    for epoch in (0, 1):
        keyring.ensure("wifi", epoch)
    return keyring


EXTENTS = [Extent(0, 0, 0, 719), Extent(0, 1, 0, 89), Extent(1, 0, 720, 1_000)]


def test_a_key_asks_for_one_bin_and_no_key_for_every_one(wifi: Dataset, filled: Keyring) -> None:
    index, when = wifi.index("subject"), Interval(100 * HOUR, 100 * HOUR)
    one = predicate(wifi, index, when, DEVICE, EXTENTS, filled)
    every = predicate(wifi, index, when, None, EXTENTS, filled)
    assert len(one) == 2 + 2  # two buckets a level: the one that holds the instant, and the one before
    assert len(every) == 8 * len(one)
    assert one.items() <= every.items()


def test_each_tag_knows_its_epoch(wifi: Dataset, filled: Keyring) -> None:
    across = predicate(wifi, wifi.index("subject"), Interval(EPOCH - 1, EPOCH), DEVICE, EXTENTS, filled)
    assert sorted(across.values()) == [0, 0, 0, 0, 1]


def test_nothing_is_asked_where_no_data_is(wifi: Dataset, filled: Keyring) -> None:
    index = wifi.index("subject")
    assert predicate(wifi, index, Interval(2_000 * HOUR, 3_000 * HOUR), DEVICE, EXTENTS, filled) == {}
    assert predicate(wifi, index, Interval(0, 3_000 * HOUR), DEVICE, [], filled) == {}


def test_a_question_beyond_the_bound_is_refused_before_any_work(wifi: Dataset, filled: Keyring) -> None:
    index, when = wifi.index("subject"), Interval(0, 10 * HOUR)
    wanted = len(predicate(wifi, index, when, None, EXTENTS, filled))
    assert len(predicate(wifi, index, when, None, EXTENTS, filled, most_tags=wanted)) == wanted
    with pytest.raises(PredicateTooLargeError) as refused:
        predicate(wifi, index, when, None, EXTENTS, filled, most_tags=wanted - 1)
    assert refused.value.metadata == {"tags": str(wanted), "limit": str(wanted - 1)}


def test_an_epoch_that_is_not_asked_about_needs_no_key(wifi: Dataset, filled: Keyring, store: Engine) -> None:
    with store.begin() as connection:
        connection.execute(delete(data_keys).where(data_keys.c.epoch == 1))
    fresh = Keyring(store, LocalMasterKey(Key(bytes(32))))
    index = wifi.index("subject")
    assert predicate(wifi, index, Interval(0, HOUR), DEVICE, EXTENTS, fresh)
    with pytest.raises(KeyUnavailableError):
        predicate(wifi, index, Interval(0, EPOCH + HOUR), DEVICE, EXTENTS, fresh)


def test_several_keys_ask_for_their_bins_once_each(wifi: Dataset, filled: Keyring) -> None:
    index, when = wifi.index("subject"), Interval(100 * HOUR, 100 * HOUR)
    one = predicate(wifi, index, when, DEVICE, EXTENTS, filled)
    assert predicate(wifi, index, when, pa.concat_arrays([DEVICE, DEVICE]), EXTENTS, filled) == one
    many = predicate(wifi, index, when, pa.array(range(1_000)), EXTENTS, filled)
    assert many == predicate(wifi, index, when, None, EXTENTS, filled)
