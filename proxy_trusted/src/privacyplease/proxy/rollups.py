"""Roll-ups: who was at each place during a run, so that people are counted over long times without its records.

A run in which every record starts inside a closed interval overlaps it with every record, and its roll-up, a cell for
each bin, says all that a count asks of it: a theta sketch of the subjects at each place. A theta sketch is the set of
their hashes while these are at most 65,536, and so exact, and beyond that a sample of them; sketches are united as sets
are (Dasgupta et al., "A Framework for Estimating Stream Expression Cardinalities", ICDT 2016; Apache DataSketches).

The hash is a PRF under a key of the data set, or whoever chooses addresses could choose what is counted. It is the same
in all epochs, or who was there in two would count twice. It is never outside of a sealed cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

from privacyplease.proxy import occupancy
from privacyplease.proxy.holdings import Held, Run
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import ROLLUP
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.runs import Stretch
from privacyplease.proxy.tags import hashes

ROLLUP_LABEL = b"privacyplease/v1/rollup"

# A sketch is exact up to 2^16 subjects, but that two of so many have one hash of 63 bits, with a probability of 2^-32.
# Beyond that the standard error is 2^-8: 0.8 % either way at 95 %.
LOG_SIZE = 16
DEVIATIONS = 2

# A run whose fullest bin is smaller is read as fast as its roll-up.
LEAST_RUN_BYTES = 64 * 1024

# What is read rather than to give an estimate, sealed: about six million sessions of real WiFi, and three seconds.
MOST_EXACT_BYTES = 64 * 1024 * 1024


class Rollups:
    """The roll-ups that a question takes in the place of records. A search fills it before it gives its first page.

    Attributes:
        tables: Places and sketches, columns as in `layouts.ROLLUP`.
        spared: How many sealed bytes need not be read, about.
    """

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.spared = 0
        self._key: Key | None = None

    def fill(self, tables: Iterable[pa.Table], key: Key, spared: int) -> None:
        """Takes what a search has found, and the key of the hashes in it."""
        self.tables, self._key, self.spared = list(tables), key, spared

    def people(self, subjects: pa.Array | None, dataset: Dataset) -> compact_theta_sketch:
        """The subjects of the roll-ups and others, as one sketch."""
        union = theta_union(LOG_SIZE)
        for table in self.tables:
            _unite(union, table["sketch"])
        if subjects is not None:
            union.update(sketch(_hashes(subjects, dataset, self._known())))
        return union.get_result()

    def people_by_place(
        self, pairs: pa.Table | None, dataset: Dataset, groups: Mapping[str, str] | None = None
    ) -> tuple[list[str], list[int]] | None:
        """Those of the roll-ups and of others, as `occupancy.count_by_place`; None if a number would be an estimate.

        Args:
            pairs: Place, or group, and subject of others.
            dataset: The data set.
            groups: The group of each place that is counted as part of one.
        """
        unions: dict[str, theta_union] = {}
        for table in self.tables:
            for part in _by_place(occupancy.grouped(table, "place", groups or {}), "sketch"):
                _unite(unions.setdefault(part[0], theta_union(LOG_SIZE)), part[1])
        for place, values in _by_place(_hashed(pairs, dataset, self._known()), "hash") if pairs else ():
            unions.setdefault(place, theta_union(LOG_SIZE)).update(sketch(values))
        found = {place: union.get_result() for place, union in unions.items()}
        if any(each.is_estimation_mode() for each in found.values()):
            return None
        counts = [round(of.get_estimate()) for of in found.values()]
        return occupancy.ranked(pa.table({"place": list(found), "count": counts}))

    def _known(self) -> Key:
        if self._key is None:
            raise ValueError("expected roll-ups that a search has filled")
        return self._key


class Count(NamedTuple):
    """How many distinct subjects there were.

    Attributes:
        devices: The number.
        bounds: Within what the true number is, at 95 %; None: it is exact.
    """

    devices: int
    bounds: tuple[int, int] | None = None


def count_devices(
    find: Callable[[Rollups | None], Iterator[pa.Table]], dataset: Dataset, *, exact: bool = False
) -> Count:
    """Counts with roll-ups, and once more without where an estimate is not worth what it spares.

    Args:
        find: The records of the question, with their subject; those that roll-ups stand for are left out if it is given
            some to fill.
        dataset: The data set.
        exact: Never estimate.
    """
    rollups = Rollups()
    others = occupancy.subjects(find(rollups), dataset)
    if not rollups.tables:
        return Count(0 if others is None else len(others))
    people = rollups.people(others, dataset)
    if not people.is_estimation_mode():
        return Count(round(people.get_estimate()))
    if exact or rollups.spared <= MOST_EXACT_BYTES:
        return Count(occupancy.count(find(None), dataset))
    bounds = round(people.get_lower_bound(DEVIATIONS)), round(people.get_upper_bound(DEVIATIONS))
    return Count(round(people.get_estimate()), bounds)


def without(held: Held, interval: Interval) -> tuple[list[Run], Held]:
    """The runs whose roll-ups say all that a count over an interval asks of them, and what is held without them."""
    inside = [run for run in held.runs if run.rolled_up and interval.start <= run.first and run.last <= interval.end]
    numbers = {run.number for run in inside}
    return inside, held._replace(runs=[run for run in held.runs if run.number not in numbers])


def rolled_up(stretch: Stretch, dataset: Dataset, key: Key) -> Stretch:
    """The roll-up of a run's records: for each bin a row for each place."""
    return Stretch([_rolled_up(table, dataset, key) for table in stretch.bins])


def key_of(dataset: Dataset, keyring: Keyring) -> Key:
    """The key of the hashes of a data set, made on first use. It outlives all epochs: it opens nothing.

    Raises:
        KeyUnavailableError: It does not open under the master key.
    """
    owner = f"{dataset.name}/rollups"  # no data set has such a name
    return keyring.derived(owner, keyring.ensure(owner, 0), ROLLUP_LABEL)


def serves(index: Index, dataset: Dataset) -> bool:
    """Whether runs of an index get roll-ups: people are counted by the place index."""
    return index.key == dataset.place


def sketch(values: pa.Array) -> compact_theta_sketch:
    """The sketch of some hashes: int64[n]."""
    made = update_theta_sketch(LOG_SIZE)
    for value in values.to_pylist():
        made.update(value)
    return made.compact()


def _rolled_up(table: pa.Table, dataset: Dataset, key: Key) -> pa.Table:
    hashed = _by_place(_hashed(table, dataset, key), "hash")
    rows = [(place, sketch(values).serialize()) for place, values in hashed]
    return pa.table([[place for place, _ in rows], [octets for _, octets in rows]], schema=ROLLUP.schema)


def _hashed(records: pa.Table, dataset: Dataset, key: Key) -> pa.Table:
    """The place and the hash of the subject of each record."""
    return pa.table({"place": records[dataset.place], "hash": _hashes(records[dataset.subject], dataset, key)})


def _hashes(subjects: pa.Array, dataset: Dataset, key: Key) -> pa.Array:
    values = subjects.combine_chunks() if isinstance(subjects, pa.ChunkedArray) else subjects
    return pa.array(hashes(key, values, dataset.columns[dataset.subject]).view(np.int64))


def _by_place(table: pa.Table, column: str) -> Iterator[tuple[str, pa.Array]]:
    """Each place and its distinct values of a column."""
    gathered = table.group_by("place").aggregate([(column, "distinct")])
    for place, values in zip(gathered["place"].to_pylist(), gathered[f"{column}_distinct"], strict=True):
        yield place, values.values


def _unite(union: theta_union, sketches: Iterable[pa.BinaryScalar]) -> None:
    for octets in sketches:
        union.update(compact_theta_sketch.deserialize(octets.as_py()))
