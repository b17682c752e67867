"""Tables of records: read and checked when they arrive, reduced to one form of each record when they are returned."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.errors import MalformedBatchError
from privacyplease.proxy.records.columns import ColumnType, Mask, read, show
from privacyplease.proxy.records.dataset import MOST_NAME_CHARACTERS, Dataset
from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval, Millis

MISSING = "expected a value, got none"
OUT_OF_RANGE = "expected a time from 1970 to 9999"
NEGATIVE = "expected a duration of at least 0"
TOO_WIDE = "expected text of at most 65,536 bytes"
TOO_LONG = "expected a record that ends by the year 9999"

MOST_TEXT_BYTES = 65_536

# A stored value of a column, several values, or None for any value.
Sought: TypeAlias = "pa.Scalar | pa.Array | None"


class Rejection(NamedTuple):
    """Why one record of a batch is rejected.

    Attributes:
        row: The record's position in the batch, from 0.
        field: The column at fault.
        reason: What was expected.
    """

    row: int
    field: str
    reason: str


class CheckedBatch(NamedTuple):
    """A batch that was read and checked.

    Attributes:
        records: The good records, with every column of the data set in stored form, in the batch's order.
        rejections: Why each of the others is rejected, ascending by row.
    """

    records: pa.Table
    rejections: list[Rejection]


def check(batch: pa.Table, dataset: Dataset) -> CheckedBatch:
    """Reads every column as its type, and separates good records from bad ones. A column that is left out is null.

    Raises:
        MalformedBatchError: The batch as a whole does not fit the data set.
    """
    _check_names(batch, dataset)
    verdict = _Verdict(len(batch))
    columns = [_read_column(batch, name, kind, verdict) for name, kind in dataset.columns.items()]
    records = pa.table(columns, schema=dataset.schema)
    _check_required(records, dataset, verdict)
    _check_times(records, dataset, verdict)
    good = records if not verdict.rejections else records.filter(pa.array(verdict.good))
    return CheckedBatch(good, sorted(verdict.rejections))


def spans(records: pa.Table, dataset: Dataset) -> tuple[Millis, Millis]:
    """First and last instants of n records, as two int64[n] in ms."""
    starts = records[dataset.start].to_numpy().view(np.int64)  # for few records a cast would take most of the time
    return starts, starts + records[dataset.duration].to_numpy().view(np.int64)


def overlapping(records: pa.Table, dataset: Dataset, interval: Interval) -> pa.Table:
    """The records that share an instant with a closed interval."""
    starts, ends = spans(records, dataset)
    within = (starts <= interval.end) & (ends >= interval.start)
    rows = np.flatnonzero(within)
    first = int(rows[0]) if len(rows) else 0
    if not len(rows) or rows[-1] - first == len(rows) - 1:  # contiguous, as when the records are in order of time
        return records.slice(first, len(rows))
    return records.filter(pa.array(within))


def starting_in(records: pa.Table, dataset: Dataset, interval: Interval) -> pa.Table:
    """The records that start in a closed interval."""
    starts, _ = spans(records, dataset)
    return records.filter(pa.array((starts >= interval.start) & (starts <= interval.end)))


def longest(records: pa.Table, dataset: Dataset) -> pa.Table:
    """One record for each identity (subject, place, start): the longest that was reported.

    Of equally long ones the greatest by the remaining columns is kept, so that the answer does not depend on the order
    in which records arrived.

    Returns:
        The records, ascending by (start, subject, place).
    """
    starts, _ = spans(records, dataset)
    order = np.argsort(starts)
    if (np.diff(starts[order]) > 0).all():  # no two records can have the same identity
        return records.take(order) if (np.diff(order) < 0).any() else records
    return _best(records, dataset, same=(dataset.start, dataset.subject, dataset.place))


def latest(records: pa.Table, dataset: Dataset) -> pa.Table:
    """One record for each subject: the one that starts last, in its longest form.

    Returns:
        The records, ascending by subject.
    """
    starts, _ = spans(records, dataset)
    subjects = np.asarray(records[dataset.subject].combine_chunks().dictionary_encode().indices)
    last = np.full(len(records), EARLIEST)
    np.maximum.at(last, subjects, starts)
    # This removes most records before the expensive part, sorting by every column.
    return _best(records.filter(pa.array(starts == last[subjects])), dataset, same=(dataset.subject,))


def _best(records: pa.Table, dataset: Dataset, same: tuple[str, ...]) -> pa.Table:
    """Of records that are equal in some columns, the greatest by the others, duration first."""
    rest = [name for name in records.column_names if name not in (*same, dataset.duration)]
    order = [(name, "ascending") for name in same] + [(name, "descending") for name in (dataset.duration, *rest)]
    ranked = records.take(pc.sort_indices(records, sort_keys=order)).combine_chunks()
    return ranked.filter(pa.array(_first_of_each(ranked.select(same))))


def shown(records: pa.Table, dataset: Dataset) -> pa.Table:
    """The records in the form that clients get."""
    names = records.column_names
    return pa.table({name: show(records[name], dataset.columns[name]) for name in names})


def _first_of_each(ranked: pa.Table) -> Mask:
    """Where a row of a sorted table without nulls differs from the row above."""
    first = np.ones(len(ranked), bool)
    if len(ranked) > 1:
        first[1:] = False
        for column in ranked.columns:
            first[1:] |= pc.not_equal(column.slice(1), column.slice(0, len(ranked) - 1)).to_numpy()
    return first


class _Verdict:
    """Which rows are still good, and the first fault of each that is not."""

    def __init__(self, rows: int) -> None:
        self.good = np.ones(rows, bool)
        self.rejections: list[Rejection] = []

    def reject(self, bad: Mask, field: str, reason: str) -> None:
        for row in np.flatnonzero(bad & self.good).tolist():
            self.rejections.append(Rejection(row, field, reason))
        self.good &= ~bad


def _check_names(batch: pa.Table, dataset: Dataset) -> None:
    if len(set(batch.column_names)) < len(batch.column_names):
        raise MalformedBatchError("expected each column once", field="records")
    if unknown := set(batch.column_names) - set(dataset.columns):
        known = ", ".join(dataset.columns)
        named = ", ".join(sorted(unknown))[:MOST_NAME_CHARACTERS]
        raise MalformedBatchError(f"no such column: {named}; expected {known}", field="records")
    if missing := set(dataset.required) - set(batch.column_names):
        raise MalformedBatchError(f"missing column: {', '.join(sorted(missing))}", field="records")


def _read_column(batch: pa.Table, name: str, kind: ColumnType, verdict: _Verdict) -> pa.Array:
    if name not in batch.column_names:
        return pa.nulls(len(batch), kind.stored)
    try:
        column = read(batch[name], kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        arrow_type = str(batch[name].type)[:MOST_NAME_CHARACTERS]
        raise MalformedBatchError(f"{name}: {kind.expected}, got {arrow_type}", field="records") from error
    verdict.reject(column.bad, name, kind.expected)
    if kind is ColumnType.STRING:
        lengths = pc.binary_length(column.values).fill_null(0).to_numpy(zero_copy_only=False)
        verdict.reject(lengths > MOST_TEXT_BYTES, name, TOO_WIDE)
    return column.values


def _check_required(records: pa.Table, dataset: Dataset, verdict: _Verdict) -> None:
    for name in dataset.required:
        values = records[name]
        empty = pc.equal(values, "").fill_null(True) if dataset.columns[name] is ColumnType.STRING else values.is_null()
        verdict.reject(empty.to_numpy(), name, MISSING)


def _check_times(records: pa.Table, dataset: Dataset, verdict: _Verdict) -> None:
    starts = records[dataset.start].cast(pa.int64()).fill_null(0).to_numpy()
    durations = records[dataset.duration].cast(pa.int64()).fill_null(0).to_numpy()
    verdict.reject((starts < EARLIEST) | (starts > LATEST), dataset.start, OUT_OF_RANGE)
    verdict.reject(durations < 0, dataset.duration, NEGATIVE)
    verdict.reject(durations > LATEST - np.clip(starts, EARLIEST, LATEST), dataset.duration, TOO_LONG)
