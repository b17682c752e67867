"""Matching: which ciphertext is which name, as the assignment of least cost (the Hungarian method).

Frequency analysis of deterministic encryption is an assignment problem: the lp-optimization attack of Naveed, Kamara
and Wright (CCS 2015).

>>> assigned(np.array([[4.0, 1.0], [1.0, 9.0]])).tolist()
[1, 0]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["assigned", "distances"]

Int64Array = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def distances(observed: Int64Array, known: Int64Array) -> Floats:
    """The distance of each of int64[n, k] profiles from each of int64[m, k], as a sum of differences: float64[n, m]."""
    return np.array([np.abs(known - profile).sum(axis=1) for profile in observed], np.float64)


def assigned(costs: Floats) -> Int64Array:
    """The column for each row, no column twice, at the least total cost: float64[n, m] to int64[n], with n ≤ m."""
    rows, columns = costs.shape
    if rows > columns:
        raise ValueError(f"expected at least as many columns as rows, got {rows} rows and {columns} columns")
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, np.int64)  # the row of each column, counted from 1; column 0 is where a search begins
    for row in range(1, rows + 1):
        owner[0] = row
        _augment(costs, owner, of_row, of_column)
    column_of = np.zeros(rows, np.int64)
    taken = np.flatnonzero(owner[1:])
    column_of[owner[taken + 1] - 1] = taken
    return column_of


def _augment(costs: Floats, owner: Int64Array, of_row: Floats, of_column: Floats) -> None:
    """Finds a column for the row that owns column 0, along a shortest path of exchanges."""
    size = len(owner)
    least, before, used = np.full(size, np.inf), np.zeros(size, np.int64), np.zeros(size, bool)
    at = 0
    while owner[at]:
        used[at] = True
        row = owner[at]
        reduced = np.append(np.inf, costs[row - 1] - of_row[row] - of_column[1:])
        better = ~used & (reduced < least)
        least[better], before[better] = reduced[better], at
        following = int(np.where(used, np.inf, least).argmin())
        step = least[following]
        of_row[owner[used]] += step
        of_column[used] -= step
        least[~used] -= step
        at = following
    while at:
        owner[at] = owner[before[at]]
        at = before[at]
