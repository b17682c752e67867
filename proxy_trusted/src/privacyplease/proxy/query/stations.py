"""Bike stations: availability over time, as functions over arrays.

A station's state is valid from its report until the next one, so the availability over a contract's stations is a sum
of step functions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.records.timeline import Millis, Steps

Floats = npt.NDArray[np.float64]


class StepStatistics(NamedTuple):
    """Mean, minimum and maximum over time within each step: float64[steps] each; NaN where nothing is known yet."""

    means: Floats
    minima: Floats
    maxima: Floats


class Total(NamedTuple):
    """A sum over stations as a step function: from times[i] on it is values[i]; NaN where no station counts.

    Before times[0] nothing is known.
    """

    times: Millis
    values: Floats

    def at(self, instants: Millis) -> Floats:
        """The value at each instant."""
        known = np.searchsorted(self.times, instants, side="right")
        return np.concatenate([[np.nan], self.values])[known]


def availability(states: pa.Table, dataset: Dataset, column: str, steps: Steps) -> StepStatistics:
    """Mean, minimum and maximum over time of a quantity, summed over stations.

    Args:
        states: One record for each identity: every station's last state at the interval's start, and every later one.
        dataset: The data set of the states.
        column: The quantity. A station does not count while its current state lacks it.
        steps: The interval and its steps.
    """
    total = _total(states, dataset, column, steps)
    edges = steps.interval.start + steps.width * np.arange(steps.number, dtype=np.int64)
    inside = total.times[(total.times >= steps.interval.start) & (total.times <= steps.interval.end)]
    pieces = np.union1d(edges, inside)
    values = total.at(pieces)
    lengths = np.diff(np.append(pieces, steps.interval.end)).astype(np.float64)
    first = np.searchsorted(pieces, edges)
    return StepStatistics(
        _means(values, lengths, first), np.fmin.reduceat(values, first), np.fmax.reduceat(values, first)
    )


def _total(states: pa.Table, dataset: Dataset, column: str, steps: Steps) -> Total:
    starts = spans(states, dataset)[0]
    who = np.asarray(states[dataset.subject].combine_chunks().dictionary_encode().indices)
    value = states[column].cast(pa.float64(), safe=False).to_numpy()  # NaN where there is none
    order = np.lexsort((starts, who))
    first = np.append(True, who[order][1:] != who[order][:-1])[: len(order)]
    known = ~np.isnan(value[order])
    changes = np.stack([_changes(known.astype(np.float64), first), _changes(np.where(known, value[order], 0.0), first)])
    times = np.maximum(starts[order], steps.interval.start)
    in_time = np.argsort(times, kind="stable")
    change_times, multiplicity = np.unique(times[in_time], return_counts=True)
    counting, sums = np.cumsum(changes[:, in_time], axis=1)[:, np.cumsum(multiplicity) - 1]
    return Total(change_times, np.where(counting > 0, sums, np.nan))


def _changes(values: Floats, first: npt.NDArray[np.bool_]) -> Floats:
    """By how much each state of a station differs from the one before it; the first one from zero."""
    return values - np.where(first, 0.0, np.roll(values, 1))


def _means(values: Floats, lengths: Floats, first: npt.NDArray[np.int64]) -> Floats:
    """Means weighted by time over the known part of each step; the value itself where a step is an instant."""
    known = ~np.isnan(values)
    seconds = np.add.reduceat(np.where(known, lengths, 0.0), first)
    integral = np.add.reduceat(np.where(known, values * lengths, 0.0), first)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(seconds > 0, integral / seconds, np.fmax.reduceat(values, first))
