"""How long people stay, as functions over arrays: sessions by length, new and returning subjects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import longest, spans
from privacyplease.proxy.records.timeline import Interval


class Dwell(NamedTuple):
    """How long sessions last, and how many of their subjects are new.

    Attributes:
        sessions: How many sessions there are in each class of length; one class more than there are bounds.
        median: The length that half of the sessions do not exceed, in ms; None if there are no sessions.
        returning_devices: How many distinct subjects were there before, too.
        new_devices: How many distinct subjects were not.
    """

    sessions: list[int]
    median: int | None
    returning_devices: int
    new_devices: int


def dwell(hits: Iterable[Hit], dataset: Dataset, interval: Interval, bounds: Sequence[int]) -> Dwell:
    """Classifies the sessions that overlap an interval by length, and their subjects as new or returning.

    Args:
        hits: Records that overlap the interval, or the time before it in which to look for returning subjects.
        dataset: Their data set.
        interval: Whose sessions count.
        bounds: The lower bounds of the classes of length but the first, in ms, ascending.
    """
    earlier, within = _divided(hits, dataset, interval)
    sessions = longest(within, dataset)
    lengths = np.sort(sessions[dataset.duration].cast(pa.int64()).to_numpy())
    classes = np.bincount(np.searchsorted(bounds, lengths, side="right"), minlength=len(bounds) + 1)
    subjects = pc.count_distinct(sessions[dataset.subject]).as_py()
    returning = _returning(earlier, sessions, dataset)
    median = int(lengths[(len(lengths) - 1) // 2]) if len(lengths) else None
    return Dwell(classes.tolist(), median, returning, subjects - returning)


def _divided(hits: Iterable[Hit], dataset: Dataset, interval: Interval) -> tuple[pa.Table, pa.Table]:
    """The records that end before the interval, and those that overlap it."""
    empty = pa.schema([dataset.schema.field(name) for name in dataset.required]).empty_table()
    earlier, within = [empty], [empty]
    for hit in hits:
        records = hit.table(dataset)
        ended = spans(records, dataset)[1] < interval.start
        earlier.append(records.filter(pa.array(ended)))
        within.append(records.filter(pa.array(~ended)))
    return pa.concat_tables(earlier), pa.concat_tables(within)


def _returning(earlier: pa.Table, sessions: pa.Table, dataset: Dataset) -> int:
    """How many subjects also had an earlier session; a shorter form of the same session does not count."""
    candidates = earlier.filter(pc.is_in(earlier[dataset.subject], pc.unique(sessions[dataset.subject])))
    keys = list(dataset.identity)
    others = candidates.select(keys).join(sessions.select(keys), keys, join_type="left anti")
    return int(pc.count_distinct(others[dataset.subject]).as_py())
