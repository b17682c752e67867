"""Predicates: a question's interval and key become the set of tags that can hold its answer."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pyarrow as pa

from privacyplease.proxy.dataset import Dataset, Index
from privacyplease.proxy.errors import PredicateTooLargeError
from privacyplease.proxy.keyring import Keyring
from privacyplease.proxy.tags import TAG_BYTES, Numbers, bins, tags
from privacyplease.proxy.timeline import Extent, Interval

# About 64 MiB of memory in the proxy, and four calls to a server with default limits.
MOST_TAGS = 262_144

# The epoch of each tag.
Predicate = dict[bytes, int]


def predicate(
    dataset: Dataset,
    index: Index,
    interval: Interval,
    key: pa.Array | None,
    extents: list[Extent],
    keyring: Keyring,
    most_tags: int = MOST_TAGS,
) -> Predicate:
    """The tags of every cell that can hold a record of the key that overlaps the interval.

    Args:
        dataset: The data set.
        index: The index to ask.
        interval: When.
        key: Stored values of the index's key; None for every key, and so for every bin.
        extents: Where the data set holds data.
        keyring: The keys.
        most_tags: How many tags a question may have.

    Raises:
        PredicateTooLargeError: The question has more tags.
    """
    overlaps = ((extent, dataset.timeline.overlapping(interval, extent)) for extent in extents)
    ranges = [(extent, buckets) for extent, buckets in overlaps if buckets]  # no epoch's key is opened in vain
    asked = sum(len(buckets) for _, buckets in ranges) * (index.bins if key is None else min(index.bins, len(key)))
    if asked > most_tags:
        message = f"the question touches {asked:,} tags of index {index.name!r}; at most {most_tags:,} may be asked for"
        raise PredicateTooLargeError(message, tags=asked, limit=most_tags)
    found: Predicate = {}
    for epoch, group in groupby(ranges, key=lambda item: item[0].epoch):
        keys = keyring.keys(dataset.name, epoch, index.name)
        bin_range = (
            np.arange(index.bins)
            if key is None
            else np.unique(bins(keys.bin, key, dataset.columns[index.key], index.bins))
        )
        levels, buckets = _buckets(list(group))
        names = tags(keys.tag, *_cross(levels, buckets, bin_range)).tobytes()
        found.update((names[at : at + TAG_BYTES], epoch) for at in range(0, len(names), TAG_BYTES))
    return found


def _buckets(ranges: list[tuple[Extent, range]]) -> tuple[Numbers, Numbers]:
    """Level and bucket of everything in the ranges, int64[n] each."""
    levels = [np.full(len(buckets), extent.level, np.int64) for extent, buckets in ranges]
    buckets = [np.arange(buckets.start, buckets.stop, dtype=np.int64) for _, buckets in ranges]
    return np.concatenate(levels), np.concatenate(buckets)


def _cross(levels: Numbers, buckets: Numbers, bin_range: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Every bucket with every bin."""
    width = len(bin_range)
    return np.repeat(levels, width), np.repeat(buckets, width), np.tile(bin_range, len(levels))
