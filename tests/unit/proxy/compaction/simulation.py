"""Compaction without cells: segments are only numbers, and rewrites are counted.

python -m tests.unit.proxy.compaction.simulation
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from privacyplease.proxy.compaction.cut import cut
from privacyplease.proxy.compaction.plan import Job, PlanInputs, plan
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.manifest.rows import CellEntry, ManifestRow, SegmentState
from privacyplease.proxy.records import dataset
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import DIGEST_BYTES, Digest
from privacyplease.proxy.segments.segment import Summary

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
FULL = 65_536

Int64Array = npt.NDArray[np.int64]
WIFI = dataset.load()["wifi"]


class SimulatedRecords(NamedTuple):
    """Records, as columns: who (and where), from when, for how long; int64[n] each."""

    who: Int64Array
    starts: Int64Array
    durations: Int64Array

    @classmethod
    def at(cls, starts: Int64Array, durations: Int64Array | int = MINUTE, first: int = 0) -> SimulatedRecords:
        """Records of different devices."""
        return cls(np.arange(first, first + len(starts)), starts, np.zeros_like(starts) + durations)

    def take(self, rows: slice | Int64Array | npt.NDArray[np.bool_]) -> SimulatedRecords:
        return SimulatedRecords(self.who[rows], self.starts[rows], self.durations[rows])

    @property
    def number(self) -> int:
        return len(self.who)


def row(records: SimulatedRecords, number: int, *, settled: bool, changed_at: int = 0, epoch: int = 0) -> ManifestRow:
    """The manifest's row of a segment of the records."""
    starts, durations = records.starts, records.durations
    summary = Summary(
        records.number,
        int(starts.min()),
        int(starts.max()),
        int((starts + durations).max()),
        int(durations.max()),
        b"",
    )
    groups = {
        group: CellEntry(WIFI.budgets[group.label].size(records.number), Digest(bytes(DIGEST_BYTES)))
        for group in (Group.CORE, Group.REST)
    }
    return ManifestRow(
        WIFI.name, SegmentId(number), SegmentState.LIVE, 0, KeyId(epoch), settled, changed_at, summary, groups
    )


@dataclass
class Simulation:
    """An epoch of a data set, and a compactor that looks for work once a minute.

    Attributes:
        ingested: Records that were flushed.
        written: Records that compaction wrote.
        jobs: How many jobs there were.
    """

    epoch_end: int = WIFI.epoch
    full: int = FULL
    now: int = 0
    ingested: int = 0
    written: int = 0
    jobs: int = 0
    _rows: dict[int, ManifestRow] = field(default_factory=dict)
    _records: dict[int, SimulatedRecords] = field(default_factory=dict)
    _next: int = 1

    @property
    def rows(self) -> list[ManifestRow]:
        return list(self._rows.values())

    @property
    def amplification(self) -> float:
        return self.written / self.ingested

    @property
    def settled(self) -> list[ManifestRow]:
        return [row for row in self.rows if row.settled]

    @property
    def small(self) -> list[ManifestRow]:
        return [row for row in self.settled if 2 * row.summary.records < self.full]

    @property
    def records(self) -> SimulatedRecords:
        """All records, each once."""
        return longest(
            SimulatedRecords(*(np.concatenate(columns) for columns in zip(*self._records.values(), strict=True)))
        )

    @property
    def depth(self) -> float:
        """How many segments span an instant: the mean over the starts of records."""
        starts = np.concatenate([records.starts for records in self._records.values()])
        firsts = np.sort([row.summary.first for row in self.rows])
        lasts = np.sort([row.summary.last for row in self.rows])
        holding = np.searchsorted(firsts, starts, side="right") - np.searchsorted(lasts, starts, side="left")
        return float(holding.mean())

    def inputs(self, *, by_command: bool = False) -> PlanInputs:
        return PlanInputs(self.full, 1 << 40, self.epoch_end, self.now, by_command)

    def flush(self, records: SimulatedRecords) -> None:
        self.ingested += records.number
        self._add(records, settled=False)

    def flush_in_parts(self, records: SimulatedRecords, most: int = FULL) -> None:
        for at in range(0, records.number, most):
            self.flush(records.take(slice(at, at + most)))

    def round(self, *, by_command: bool = False) -> int:
        """Does the jobs that there are, and returns how many."""
        jobs = plan(self.rows, self.inputs(by_command=by_command))
        numbers = [row.number for job in jobs for row in job]
        assert len(numbers) == len(set(numbers)), "a segment is in two jobs"
        for job in jobs:
            self._do(job)
        self.jobs += len(jobs)
        return len(jobs)

    def settle(self, *, by_command: bool = False, most: int = 200) -> None:
        """Runs rounds until there is nothing left to do."""
        for _ in range(most):
            if not self.round(by_command=by_command):
                return
        raise AssertionError("compaction does not end")

    def wait(self, milliseconds: int) -> None:
        """Lets time pass, with a round each minute as long as there is something to do, and one at the end."""
        end = self.now + milliseconds
        while self.now < end:
            self.now = min(self.now + MINUTE, end)
            if not self.round():
                self.now = end
        self.settle()

    def let_end(self) -> None:
        """Lets the epoch end."""
        self.now = max(self.now, self.epoch_end + DAY + 1)
        self.settle()

    def _do(self, job: Job) -> None:
        taken = [self._records.pop(row.number) for row in job]
        for row in job:
            del self._rows[row.number]
        merged = longest(SimulatedRecords(*(np.concatenate(columns) for columns in zip(*taken, strict=True))))
        for rows in cut(merged.starts, merged.durations, self.full):
            self._add(merged.take(rows), settled=True)
        self.written += merged.number

    def _add(self, records: SimulatedRecords, *, settled: bool) -> None:
        self._rows[self._next] = row(records, self._next, settled=settled, changed_at=self.now)
        self._records[self._next] = records
        self._next += 1


def longest(records: SimulatedRecords) -> SimulatedRecords:
    """One record for each identity, ascending by start."""
    ordered = records.take(np.lexsort((-records.durations, records.who, records.starts)))
    first = np.ones(ordered.number, bool)
    first[1:] = (np.diff(ordered.who) != 0) | (np.diff(ordered.starts) != 0)
    return ordered.take(first)


def unsorted_load(full: int = FULL, *, over: bool = True) -> Simulation:
    """As many records as fill 150 segments: a log of a month in no order, in full flushes."""
    made = Simulation(full=full, now=(60 if over else 29) * DAY)
    starts = np.random.default_rng(1).integers(0, 29 * DAY, 150 * full) // SECOND * SECOND
    for at in range(0, len(starts), 20 * full):
        made.flush_in_parts(SimulatedRecords.at(starts[at : at + 20 * full], first=at), full)
        made.now += MINUTE
        made.round()
    return made


def late(full: int = FULL, share: float = 0.02, days: int = 20) -> Simulation:
    """Thirteen full segments a day; some records come up to three weeks late."""
    random, made = np.random.default_rng(2), Simulation(full=full)
    each = 13 * full // 1_440
    for _ in range(days * 1_440):
        made.now += MINUTE
        starts = made.now - random.integers(0, MINUTE, each)
        behind = random.random(each) < share
        starts[behind] = np.maximum(0, starts[behind] - random.integers(0, 20 * DAY, behind.sum()))
        made.flush_in_parts(SimulatedRecords.at(starts // SECOND * SECOND, first=made.ingested), -(-each // 60))
        made.round()
    return made


def three_times(full: int = FULL) -> Simulation:
    """As many records as fill 30 segments: a log of two weeks, three times."""
    starts = np.sort(np.random.default_rng(3).integers(0, 14 * DAY, 30 * full)) // SECOND * SECOND
    made = Simulation(full=full, now=60 * DAY)
    for _ in range(3):
        made.flush_in_parts(SimulatedRecords.at(starts), full)
        made.now += MINUTE
        made.round()
    return made


def stream(per_second: int, hours: int, full: int = FULL, *, reported_late: bool = False) -> Simulation:
    """Records as they start, or as sessions of some hours end; at most two flushes a second."""
    random, made = np.random.default_rng(4), Simulation(full=full, now=2 * DAY)
    for _ in range(hours * 60):
        number = per_second * 60
        ends = np.sort(made.now + random.integers(0, MINUTE, number))
        durations = random.exponential(2 * HOUR, number).astype(np.int64).clip(0, 30 * HOUR)
        starts = (ends - durations if reported_late else ends) // SECOND * SECOND
        made.flush_in_parts(SimulatedRecords.at(starts, durations, first=made.ingested), max(1, per_second // 2))
        made.now += MINUTE
        made.round()
    return made


SCENARIOS: dict[str, Callable[[], Simulation]] = {
    "10 M records in no order, of a month that is over": unsorted_load,
    "10 M records in no order, of a month that is not": lambda: unsorted_load(over=False),
    "10 a second for 20 days, 2 % up to 20 days late": late,
    "2 M records, three times": three_times,
    "1 a second for a day": lambda: stream(1, 24),
    "1,000 a second for an hour": lambda: stream(1_000, 1),
    "100 sessions a second for a day, as they end": lambda: stream(100, 24, reported_late=True),
    "1,000 sessions a second for 6 hours, as they end": lambda: stream(1_000, 6, reported_late=True),
}


def described(made: Simulation) -> str:
    """The outcome of a scenario."""
    stored = sum(of.summary.records for of in made.rows)
    return (
        f"{len(made.settled):5,} segments ({len(made.small):2,} small; it fills {stored / made.full:5.1f}), "
        f"{len(made.rows) - len(made.settled):3,} fresh, {made.depth:4.1f} at an instant, "
        f"amplification {made.amplification:4.2f}"
    )


def report() -> Iterator[str]:
    """Prints a line for each scenario: at its end, a day later, when the epoch is over, and after a command."""
    for name, scenario in SCENARIOS.items():
        made = scenario()
        yield name
        yield f"  at the end    {described(made)}"
        made.wait(DAY + HOUR)
        yield f"  a day later   {described(made)}"
        made.let_end()
        yield f"  a month later {described(made)}"
        made.settle(by_command=True)
        yield f"  by command    {described(made)}"


if __name__ == "__main__":
    for line in report():
        print(line, flush=True)
