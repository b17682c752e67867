"""Merging: the records of several segments as one table, and which of them survive.

Text stays coded from the cells that are read to those that are written.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.compaction.cut import RowNumbers
from privacyplease.proxy.records.columns import Mask
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import longest, spans
from privacyplease.proxy.segments.core import Core, CoreColumns, timed
from privacyplease.proxy.segments.pages import CODED, unpack

_NUMBER = "row number"  # no column of a data set has a space in its name


def segment_records(core: Core, rest: pa.RecordBatch, dataset: Dataset) -> pa.Table:
    """A segment's records in stored form, with text as codes and all columns that it has."""
    starts = core.starts()
    subjects = _coded(core.owners(), core.subjects)
    places = _coded(core.codes, pa.array(core.places, pa.string()))
    columns = CoreColumns(subjects, places, starts, core.ends() - starts)
    named = dict(zip(dataset.required, (subjects, places, *timed(columns)), strict=True))
    others = unpack(rest, coded=True)
    return pa.table(named | dict(zip(others.column_names, others.columns, strict=True)))


def concatenated(tables: Iterable[pa.Table], dataset: Dataset) -> pa.Table:
    """All records in one table: first the data set's columns, then those that its definition no longer has.

    A column that a segment lacks is null for its records.
    """
    merged = pa.concat_tables(tables, promote_options="default").unify_dictionaries().combine_chunks()
    names = [name for name in dataset.columns if name in merged.column_names]
    return merged.select([*names, *(name for name in merged.column_names if name not in dataset.columns)])


def survivors(records: pa.Table, dataset: Dataset) -> RowNumbers:
    """Which records survive, one of each identity: those that `records.tables.longest` chooses, ascending by start.

    Few records were reported twice, so all are sorted only by identity, and only those that share one are compared.
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
    survives = np.zeros(len(records), bool)
    survives[order[~shared]] = True
    survives[_longest(records, rows, _group_starts(starts[rows], identity[rows]), ends, dataset)] = True
    return order[survives[order]]


def _longest(records: pa.Table, rows: RowNumbers, first: Mask, ends: RowNumbers, dataset: Dataset) -> RowNumbers:
    """The longest row of each group, which is its first. Equally long ones that differ are compared in full."""
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


def _differ(records: pa.Table, left: RowNumbers, right: RowNumbers) -> Mask:
    """Where the left and the right row differ in any column."""
    differ = np.zeros(len(left), bool)
    for column in records.columns if len(left) else ():
        values = column.combine_chunks()
        values = values.indices if pa.types.is_dictionary(values.type) else values
        one, other = values.take(pa.array(left)), values.take(pa.array(right))
        equal = pc.or_(pc.equal(one, other).fill_null(False), pc.and_(one.is_null(), other.is_null()))
        differ |= ~equal.to_numpy(zero_copy_only=False)
    return differ


def _group_starts(*columns: RowNumbers) -> Mask:
    first = np.ones(len(columns[0]), bool)
    first[1:] = np.any([np.diff(column) != 0 for column in columns], axis=0)
    return first


def _coded(codes: npt.NDArray[np.integer], values: pa.Array) -> pa.Array:
    """The value of each code; text stays coded."""
    if pa.types.is_string(values.type):
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), values)
    return values.take(pa.array(codes))


def _codes(column: pa.ChunkedArray) -> RowNumbers:
    """A number for each distinct value: int64[n]."""
    return np.asarray(column.combine_chunks().dictionary_encode().indices, np.int64)


def _plain(records: pa.Table) -> pa.Table:
    """The records with text decoded."""
    columns = [column.cast(pa.string()) if column.type == CODED else column for column in records.columns]
    return pa.table(columns, names=records.column_names)
