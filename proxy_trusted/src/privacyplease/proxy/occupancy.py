"""Counting people: distinct subjects of overlapping records, as functions over arrays.

Each takes the pages that a search gives and keeps no more of a page than the count needs. A record that was reported
twice, or in a shorter and a longer form, counts its subject once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.records.timeline import Interval

Numbers = npt.NDArray[np.int64]

# Finding the repetitions in fewer records takes longer than what is saved.
_FEW = 65_536


class Steps(NamedTuple):
    """An interval cut into steps. Each is half open, but the last ends with the interval and is closed like it.

    Attributes:
        interval: When.
        width: Width of a step in ms.
    """

    interval: Interval
    width: int

    @property
    def number(self) -> int:
        """How many steps there are, at least one."""
        return max(1, -(-(self.interval.end - self.interval.start) // self.width))

    def step_of(self, instants: Numbers) -> Numbers:
        """The step that each instant (int64[n], ms) falls into; the nearest one for those outside."""
        return np.clip((instants - self.interval.start) // self.width, 0, self.number - 1)


def subjects(pages: Iterable[pa.Table], dataset: Dataset) -> pa.Array | None:
    """The distinct subjects that the pages hold; None for no pages."""
    seen = _union([pc.unique(page[dataset.subject]) for page in pages])
    return None if seen is None else pc.unique(seen)


def count(pages: Iterable[pa.Table], dataset: Dataset) -> int:
    """How many distinct subjects the pages hold."""
    return len(found) if (found := subjects(pages, dataset)) is not None else 0


def count_by_place(
    pages: Iterable[pa.Table], dataset: Dataset, groups: Mapping[str, str] | None = None
) -> tuple[list[str], list[int]]:
    """Places with at least one subject and their distinct subjects, descending by count, then ascending by name.

    Args:
        pages: The records.
        dataset: Their data set.
        groups: The group of each place that is counted as part of one.
    """
    return count_pairs(subjects_by_place(pages, dataset, groups), dataset)


def count_pairs(pairs: pa.Table | None, dataset: Dataset) -> tuple[list[str], list[int]]:
    """As `count_by_place`, of what `subjects_by_place` gives."""
    if pairs is None:
        return [], []
    counted = pairs.group_by(dataset.place).aggregate([(dataset.subject, "count_distinct")])
    return ranked(counted.rename_columns(["place", "count"]))


def subjects_by_place(
    pages: Iterable[pa.Table], dataset: Dataset, groups: Mapping[str, str] | None = None
) -> pa.Table | None:
    """Places, or groups, and subjects that were there, a few repeated, as `count_by_place`; None for no pages."""
    renamed = (grouped(page, dataset.place, groups or {}) for page in pages)
    pairs = [page.group_by([dataset.place, dataset.subject]).aggregate([]) for page in renamed]
    return pa.concat_tables(pairs) if pairs else None


def ranked(counted: pa.Table) -> tuple[list[str], list[int]]:
    """Columns place and count, descending by count, then ascending by name."""
    rows = counted.sort_by([("count", "descending"), ("place", "ascending")])
    return rows["place"].to_pylist(), rows["count"].to_pylist()


def series(pages: Iterable[pa.Table], dataset: Dataset, steps: Steps) -> Numbers:
    """Distinct subjects in each step: int64[steps.number].

    Takes O(n log n) whatever the number of steps that a record spans: records become ranges of steps, a subject's
    ranges are merged where they touch, and what is left adds one at its first step and takes it away after its last.
    """
    spanned = [_span(page, dataset, steps) for page in pages if len(page)]
    subjects = _union([subject for subject, _, _ in spanned])
    if subjects is None:
        return np.zeros(steps.number, np.int64)
    who = subjects.dictionary_encode().indices.to_numpy().astype(np.int64)
    first, last = (np.concatenate(column) for column in list(zip(*spanned, strict=True))[1:])
    begin, end = _merged(who * (steps.number + 1) + first, who * (steps.number + 1) + last)
    change = np.bincount(begin % (steps.number + 1), minlength=steps.number + 1)
    change -= np.bincount(end % (steps.number + 1) + 1, minlength=steps.number + 1)
    return np.cumsum(change)[: steps.number]


def grouped(page: pa.Table, column: str, groups: Mapping[str, str]) -> pa.Table:
    """The page with the group's name for each place, in a column, that is in one."""
    if not groups:
        return page
    places = page[column].combine_chunks().dictionary_encode()
    names = pa.array([groups.get(place, place) for place in places.dictionary.to_pylist()], pa.string())
    at = page.schema.get_field_index(column)
    return page.set_column(at, column, names.take(places.indices))


def _span(page: pa.Table, dataset: Dataset, steps: Steps) -> tuple[pa.Array, Numbers, Numbers]:
    """Subject, first step and last step of each record; of a page that takes much memory repetitions are left out."""
    starts, ends = spans(page, dataset)
    if len(page) <= _FEW:
        return page[dataset.subject].combine_chunks(), steps.step_of(starts), steps.step_of(ends)
    columns = [page[dataset.subject], pa.array(steps.step_of(starts)), pa.array(steps.step_of(ends))]
    distinct = pa.table(columns, names=["who", "first", "last"]).group_by(["who", "first", "last"]).aggregate([])
    return distinct["who"].combine_chunks(), distinct["first"].to_numpy(), distinct["last"].to_numpy()


def _merged(begin: Numbers, end: Numbers) -> tuple[Numbers, Numbers]:
    """The union of closed ranges of whole numbers as disjoint ranges."""
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(end[order])
    opens = np.ones(len(begin), bool)
    opens[1:] = begin[1:] > reach[:-1]
    closes = np.append(opens[1:], True)
    return begin[opens], reach[closes]


def _union(parts: list[pa.Array]) -> pa.Array | None:
    return pa.concat_arrays(parts) if parts else None
