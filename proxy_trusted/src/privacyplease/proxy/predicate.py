"""Predicates: the places that a question touches and its key become the set of tags that can hold its answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import numpy as np
import pyarrow as pa

from privacyplease.proxy.errors import PredicateTooLargeError
from privacyplease.proxy.holdings import Place
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.tags import TAG_BYTES, Numbers, bins, tags

# About 64 MiB of memory in the proxy, and four calls to a server with default limits.
MOST_TAGS = 262_144

# The epoch of each tag.
Predicate = dict[bytes, int]


def predicate(
    dataset: Dataset,
    index: Index,
    places: Sequence[Place],
    key: pa.Array | None,
    keyring: Keyring,
    most_tags: int = MOST_TAGS,
    beside: int = 0,
) -> Predicate:
    """The tags of every cell at some places that can hold a record of the key.

    Args:
        dataset: The data set.
        index: The index to ask.
        places: The places.
        key: Stored values of the index's key; None for every key, and so for every bin.
        keyring: The keys.
        most_tags: How many tags a question may have.
        beside: How many it has at other places.

    Raises:
        PredicateTooLargeError: The question has more tags.
    """
    asked = beside + len(places) * (index.bins if key is None else min(index.bins, len(key)))
    if asked > most_tags:
        message = f"the question touches {asked:,} tags of index {index.name!r}; at most {most_tags:,} may be asked for"
        raise PredicateTooLargeError(message, tags=asked, limit=most_tags)
    found: Predicate = {}
    for epoch, group in groupby(sorted(places), key=attrgetter("epoch")):
        keys = keyring.keys(dataset.name, epoch, index.name)
        bin_range = (
            np.arange(index.bins)
            if key is None
            else np.unique(bins(keys.bin, key, dataset.columns[index.key], index.bins))
        )
        _, levels, buckets = np.array(list(group), np.int64).T
        names = tags(keys.tag, *_cross(levels, buckets, bin_range)).tobytes()
        found.update((names[at : at + TAG_BYTES], epoch) for at in range(0, len(names), TAG_BYTES))
    return found


def _cross(levels: Numbers, buckets: Numbers, bin_range: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Every bucket with every bin."""
    width = len(bin_range)
    return np.repeat(levels, width), np.repeat(buckets, width), np.tile(bin_range, len(levels))
