"""Predicates: the places that a question touches and its key become the set of tags that can hold its answer."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from privacyplease.proxy.dataset import Dataset, Index
from privacyplease.proxy.errors import PredicateTooLargeError
from privacyplease.proxy.holdings import Held
from privacyplease.proxy.keyring import Keyring
from privacyplease.proxy.tags import RUN_LEVEL, TAG_BYTES, Numbers, bins, tags

# About 64 MiB of memory in the proxy, and four calls to a server with default limits.
MOST_TAGS = 262_144

# The epoch of each tag.
Predicate = dict[bytes, int]


def predicate(
    dataset: Dataset,
    index: Index,
    held: Held,
    key: pa.Array | None,
    keyring: Keyring,
    most_tags: int = MOST_TAGS,
) -> Predicate:
    """The tags of every cell of some buckets and runs that can hold a record of the key.

    Args:
        dataset: The data set.
        index: The index to ask.
        held: The buckets and runs.
        key: One stored value of the index's key; None for every key, and so for every bin.
        keyring: The keys.
        most_tags: How many tags a question may have.

    Raises:
        PredicateTooLargeError: The question has more tags.
    """
    asked = (len(held.buckets) + len(held.runs)) * (index.bins if key is None else 1)
    if asked > most_tags:
        message = f"the question touches {asked:,} tags of index {index.name!r}; at most {most_tags:,} may be asked for"
        raise PredicateTooLargeError(message, tags=asked, limit=most_tags)
    places = [(bucket.epoch, *bucket.bucket) for bucket in held.buckets]
    places += [(run.epoch, RUN_LEVEL, run.number) for run in held.runs]
    found: Predicate = {}
    for epoch, group in groupby(sorted(places), key=itemgetter(0)):
        keys = keyring.keys(dataset.name, epoch, index.name)
        bin_range = (
            np.arange(index.bins) if key is None else bins(keys.bin, key, dataset.columns[index.key], index.bins)
        )
        _, levels, buckets = np.array(list(group), np.int64).T
        names = tags(keys.tag, *_cross(levels, buckets, bin_range)).tobytes()
        found.update((names[at : at + TAG_BYTES], epoch) for at in range(0, len(names), TAG_BYTES))
    return found


def _cross(levels: Numbers, buckets: Numbers, bin_range: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Every bucket with every bin."""
    width = len(bin_range)
    return np.repeat(levels, width), np.repeat(buckets, width), np.tile(bin_range, len(levels))
