"""Merging: the records of several segments as one table, and which of them stay.

Text stays coded all the way from the cells that are read to those that are written.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.records.columns import Mask
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import longest, spans
from privacyplease.proxy.segments.core import Core, CoreColumns, timed
from privacyplease.proxy.segments.pages import CODED, unpack

# Numbers of records.
Rows = npt.NDArray[np.int64]

_NUMBER = "row number"  # no column of a data set has a space in its name


def opened(core: Core, rest: pa.RecordBatch, dataset: Dataset) -> pa.Table:
    """A segment's records in stored form, text as codes, all columns that it has."""
    starts = core.starts()
    subjects = _coded(core.owners(), core.subjects)
    places = _coded(core.codes, pa.array(core.places, pa.string()))
    columns = CoreColumns(subjects, places, starts, core.ends() - starts)
    named = dict(zip(dataset.required, (subjects, places, *timed(columns)), strict=True))
    others = unpack(rest, coded=True)
    return pa.table(named | dict(zip(others.column_names, others.columns, strict=True)))


def together(tables: Iterable[pa.Table], dataset: Dataset) -> pa.Table:
    """All records in one table: first the data set's columns, then those that its definition has dropped.

    A column that some segments lack is null there.
    """
    merged = pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()
    names = [name for name in dataset.columns if name in merged.column_names]
    return merged.select([*names, *(name for name in merged.column_names if name not in dataset.columns)])


def staying(records: pa.Table, dataset: Dataset) -> Rows:
    """Which records stay, of each identity one: those that `records.tables.longest` would choose, ascending by start.

    Few records come twice, so all are sorted by their identity alone, and only those that share it are compared.
    """
    starts, ends = spans(records, dataset)
    places = _codes(records[dataset.place])
    identity = _codes(records[dataset.subject]) * (int(places.max(initial=0)) + 1) + places
    order = np.lexsort((identity, starts))
    same = (np.diff(starts[order]) == 0) & (np.diff(identity[order]) == 0)
    if not same.any():
        return order
    shared = np.append(same, False) | np.append(False, same)
    rows = order[shared]
    rows = rows[np.lexsort((starts[rows] - ends[rows], identity[rows], starts[rows]))]
    stays = np.zeros(len(records), bool)
    stays[order[~shared]] = True
    stays[_longest(records, rows, _group_starts(starts[rows], identity[rows]), ends, dataset)] = True
    return order[stays[order]]


def _longest(records: pa.Table, rows: Rows, first: Mask, ends: Rows, dataset: Dataset) -> Rows:
    """One row of each group: the longest, which is its first. Equally long ones that differ are compared in full."""
    group = np.cumsum(first) - 1
    leaders = rows[first]
    equal = ~first & (ends[rows] == ends[leaders[group]])
    others = records.drop_columns([*dataset.identity, dataset.duration])
    differ = np.zeros(len(rows), bool)
    differ[equal] = _differ(others, rows[equal], leaders[group[equal]])
    contested = np.unique(group[differ])
    if not len(contested):
        return leaders
    candidates = rows[np.isin(group, contested)]
    chosen = longest(_plain(records.take(candidates)).append_column(_NUMBER, pa.array(candidates)), dataset)
    return np.concatenate([np.delete(leaders, contested), chosen[_NUMBER].to_numpy()])


def _differ(records: pa.Table, left: Rows, right: Rows) -> Mask:
    """Where the left row and the right row differ in any column."""
    differ = np.zeros(len(left), bool)
    for column in records.columns if len(left) else ():
        values = column.combine_chunks()
        values = values.indices if pa.types.is_dictionary(values.type) else values
        one, other = values.take(pa.array(left)), values.take(pa.array(right))
        equal = pc.or_(pc.equal(one, other).fill_null(False), pc.and_(one.is_null(), other.is_null()))
        differ |= ~equal.to_numpy(zero_copy_only=False)
    return differ


def _group_starts(*columns: Rows) -> Mask:
    first = np.ones(len(columns[0]), bool)
    first[1:] = np.any([np.diff(column) != 0 for column in columns], axis=0)
    return first


def _coded(codes: npt.NDArray[np.integer], values: pa.Array) -> pa.Array:
    """The value of each code; text stays coded."""
    if pa.types.is_string(values.type):
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), values)
    return values.take(pa.array(codes))


def _codes(column: pa.ChunkedArray) -> Rows:
    """A number for each distinct value: int64[n]."""
    return np.asarray(column.combine_chunks().dictionary_encode().indices, np.int64)


def _plain(records: pa.Table) -> pa.Table:
    """Text as text."""
    columns = [column.cast(pa.string()) if column.type == CODED else column for column in records.columns]
    return pa.table(columns, names=records.column_names)
