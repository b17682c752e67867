"""Planning: what bins, base width and volume hiding cost and hide, worked out from the size of a deployment.

Arithmetic alone. What records take was measured on sessions of a simulated campus with all columns of a log; tests hold
the figures to cells that are really sealed, and the whole to a store that is really built.

A question reads all of its bin: those who share it are whom it hides among, and their records are what it fetches. When
a bin holds much more than the others, as that of a dominant place does, hiding its volume makes every bin as large.
A count needs the records of the runs at the ends of its range alone: roll-ups say who was there in those between.

>>> planned = plan(Deployment(devices=1_000, places=80, rows_per_day=24_500))
>>> planned.base_width, planned.subject.bins, planned.place.bins, planned.hide_volume
('1h', 10, 4, True)
>>> plan(Deployment(devices=1_000, places=80, rows_per_day=24_500, dominant_share=0.6)).place.bins
2
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

RANGES_DAYS = {"1 h": 1 / 24, "1 d": 1.0, "30 d": 30.0}

# Base widths to choose from, in days. The narrowest is taken whose fresh cells have enough records that the frame, 500
# bytes beside 50 a record, is a tenth of them.
_WIDTHS_DAYS = {"15m": 1 / 96, "1h": 1 / 24, "6h": 1 / 4, "1d": 1.0}
_RECORDS_A_CELL = 100

# The popularity of places, where nothing is known of it: Zipf's law, by rank to the power of this.
_ZIPF = 0.9
# How differently active devices are: the variance of their records over the squared mean.
_DEVICE_VARIANCE = 1.0

# Lots are drawn for so many of the busiest places, so often.
_BUSIEST, _LOTS = 64, 100

# A bin that is that many times as full as the mean is dear to hide.
_DEAR = 2.0

# Of the proxy's (`tiers.py`, `dataset.py`): the size that cells grow to, and until when.
TARGET_BYTES = 512 * 1024
EPOCH_DAYS = 30
MOST_BINS = 65_536

# Padding to few lengths takes half of a step in the mean: of steps of a fifth where volume is hidden, else of a tenth.
_PADDED_HIDDEN, _PADDED = 1.11, 1.04

# Of the proxy's (`rollups.py`, `compaction.py`): runs of fewer bytes have no roll-up, nor those of which it were more
# than half.
LEAST_RUN_BYTES = 64 * 1024
_DEAREST_ROLLUP = 0.5

# A roll-up has a hash for each device that was at one of its places, and zstd finds it again at the others. Fitted to
# the simulated campus (400 to 20,000 devices, runs of a day to three weeks; 16 % off at most): n sessions of a bin are
# of devices with about five each, and a device with k sessions was at the square root of k places.
_HASH_BYTES, _AGAIN_BYTES = 8.0, 1.2
_SESSIONS_A_DEVICE = 5

# Of an InnoDB table: bytes of a session with all columns, a primary key and the two indexes, after LOAD DATA.
PLAINTEXT_BYTES = 307
# What InnoDB takes for a byte of sealed cells, most of them of half a MiB: half-filled last pages, room for growth.
DATABASE_FACTOR = 1.11


@dataclass(frozen=True)
class Deployment:
    """What is to be kept.

    Attributes:
        devices: How many devices there are.
        places: How many places.
        rows_per_day: How many sessions a day.
        dominant_share: The share of all sessions that the busiest place has; None for Zipf's law.
        least_devices: At least so many devices are to share a bin,
        least_places: and so many places.
        most_storage: The most that hiding may make of storage, beside the same records in plaintext.
    """

    devices: int
    places: int
    rows_per_day: int
    dominant_share: float | None = None
    least_devices: int = 100
    least_places: int = 20
    most_storage: float = 0.8


@dataclass(frozen=True)
class IndexPlan:
    """One index.

    Attributes:
        bins: How many bins.
        anonymity_set: How many devices or places share a bin, in the mean.
        fullest: What the fullest bin holds, beside the mean.
        record_bytes: What a record takes in a cell, compressed.
        fetched_bytes: What a question about one of them fetches, by its range.
        rollup_bytes: What a roll-up takes for one bin; 0 where runs have none.
    """

    bins: int
    anonymity_set: int
    fullest: float
    record_bytes: int
    fetched_bytes: dict[str, int]
    rollup_bytes: int


@dataclass(frozen=True)
class Plan:
    """What is recommended.

    Attributes:
        base_width: Of the narrowest buckets, as a definition has it.
        hide_volume: Whether all bins should look equally full.
        subject: The index by device.
        place: The index by place.
        counted_bytes: What a count of the devices at one place fetches, by its range.
        storage_hidden: What is stored with volume hidden, roll-ups and all, beside the same records in plaintext.
        storage_shown: Without.
        warnings: What is dear or hides little, and why.
    """

    base_width: str
    hide_volume: bool
    subject: IndexPlan
    place: IndexPlan
    counted_bytes: dict[str, int]
    storage_hidden: float
    storage_shown: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Crowd:
    """Those who are put into bins: how many, the shares that the busiest have, and the squared shares of the others."""

    number: int
    busiest: tuple[float, ...]
    squares: float

    def fullest(self, bins: int) -> float:
        """What the fullest bin holds, beside the mean: the busiest by lot, the others by the normal approximation."""
        chance = random.Random(bins)  # noqa: S311  # the same plan every time
        others = 1 - sum(self.busiest)
        spread = math.sqrt(2 * math.log(bins) * self.squares / bins)
        lots = [_fullest(self.busiest, bins, chance) for _ in range(_LOTS)]
        return min(bins * (sum(lots) / _LOTS + others / bins + spread), float(bins))


def _fullest(shares: tuple[float, ...], bins: int, chance: random.Random) -> float:
    held = [0.0] * bins
    for share in shares:
        held[chance.randrange(bins)] += share
    return max(held)


@dataclass(frozen=True)
class _Runs:
    """The runs of an index: the time that fills the cell of the fullest bin to the size to which cells are merged.

    Attributes:
        deployment: Of what.
        crowd: Who is put into bins.
        bins: How many there are.
        record_bytes: What a record takes in a cell.
        hide: Whether every bin is padded to the fullest.
        rolled_up: Whether they may have roll-ups.
    """

    deployment: Deployment
    crowd: _Crowd
    bins: int
    record_bytes: int
    hide: bool
    rolled_up: bool = False

    @cached_property
    def fullest(self) -> float:
        """What the fullest bin holds, beside the mean."""
        return self.crowd.fullest(self.bins)

    @cached_property
    def days(self) -> float:
        """How long a run is."""
        daily = self.deployment.rows_per_day / self.bins * self.record_bytes * self.fullest
        return min(EPOCH_DAYS, TARGET_BYTES / daily)

    @cached_property
    def cell(self) -> float:
        """What a bin of a run takes, in bytes."""
        return self._records(self.hide) * self.record_bytes * self._padded

    @cached_property
    def rollup(self) -> float:
        """What a bin of a roll-up takes, in bytes; 0 if there is none."""
        fullest = self._records(fullest=True) * self.record_bytes
        if not self.rolled_up or fullest < LEAST_RUN_BYTES or self._rollup(fullest=True) > _DEAREST_ROLLUP * fullest:
            return 0
        return self._rollup(self.hide) * self._padded

    @property
    def row_bytes(self) -> float:
        """What a session takes."""
        return (self.cell + self.rollup) * self.bins / (self.deployment.rows_per_day * self.days)

    def fetched(self, span: float) -> int:
        """What records of so many days take: the runs that they touch."""
        return round((span / self.days + 1) * self.cell)

    def counted(self, span: float) -> int:
        """What a count over so many days takes: roll-ups of the runs inside, records of those at both ends."""
        inside = max(span / self.days - 1, 0) if self.rollup else 0
        return round(self.fetched(span) - inside * (self.cell - self.rollup))

    @property
    def _padded(self) -> float:
        return _PADDED_HIDDEN if self.hide else _PADDED

    def _records(self, fullest: bool) -> float:
        """How many a bin of a run has: the fullest, or in the mean."""
        return self.deployment.rows_per_day * self.days / self.bins * (self.fullest if fullest else 1)

    def _rollup(self, fullest: bool) -> float:
        records = self._records(fullest)
        devices = self.deployment.devices * -math.expm1(-records / (_SESSIONS_A_DEVICE * self.deployment.devices))
        places = min(math.sqrt(records / devices), max(self.crowd.number / self.bins, 1))
        return devices * (_HASH_BYTES + _AGAIN_BYTES * (places - 1))


def plan(deployment: Deployment) -> Plan:
    """Recommends a definition.

    The more bins, the less a question fetches; so there are as many as leave enough devices, and enough places, in
    each, and of places no more than can be hidden at twice the cost.
    """
    devices, places = _devices(deployment), _places(deployment)
    subject_bins = _bins(deployment.devices, deployment.least_devices)
    wanted = _bins(deployment.places, deployment.least_places)
    place_bins = bisect_right(range(1, wanted + 1), _DEAR, key=places.fullest) or 1
    hidden, shown = (
        (
            _Runs(deployment, devices, subject_bins, SUBJECT_BYTES, hide),
            _Runs(deployment, places, place_bins, PLACE_BYTES, hide, rolled_up=True),
        )
        for hide in (True, False)
    )
    hide = _storage(hidden) <= deployment.most_storage
    subject, place = hidden if hide else shown
    width = _base_width(deployment.rows_per_day, max(subject_bins, place_bins))
    warnings = _warnings(deployment, places, wanted, place_bins, hide)
    counted = {name: place.counted(span) for name, span in RANGES_DAYS.items()}
    return Plan(width, hide, _index(subject), _index(place), counted, _storage(hidden), _storage(shown), warnings)


# Bytes of a record in a large cell, ordered as compaction orders it, zstd level 3: all 15 columns, and four of them.
SUBJECT_BYTES, PLACE_BYTES = 37, 10


def _devices(deployment: Deployment) -> _Crowd:
    return _Crowd(deployment.devices, (), (1 + _DEVICE_VARIANCE) / deployment.devices)


def _places(deployment: Deployment) -> _Crowd:
    zipf = [rank**-_ZIPF for rank in range(1, deployment.places + 1)]
    shares = [weight / sum(zipf) for weight in zipf]
    if deployment.dominant_share is not None and deployment.places > 1:
        rest = (1 - deployment.dominant_share) / sum(shares[1:])
        shares = [deployment.dominant_share, *(share * rest for share in shares[1:])]
    return _Crowd(deployment.places, tuple(shares[:_BUSIEST]), sum(share**2 for share in shares[_BUSIEST:]))


def _bins(number: int, least: int) -> int:
    return min(max(number // least, 1), MOST_BINS)


def _storage(indexes: Iterable[_Runs]) -> float:
    return sum(runs.row_bytes for runs in indexes) * DATABASE_FACTOR / PLAINTEXT_BYTES


def _index(runs: _Runs) -> IndexPlan:
    fetched = {name: runs.fetched(span) for name, span in RANGES_DAYS.items()}
    share = runs.crowd.number // runs.bins
    return IndexPlan(runs.bins, share, runs.fullest, runs.record_bytes, fetched, round(runs.rollup))


def _base_width(rows_per_day: int, bins: int) -> str:
    wide_enough = (name for name, days in _WIDTHS_DAYS.items() if rows_per_day * days / bins >= _RECORDS_A_CELL)
    return next(wide_enough, list(_WIDTHS_DAYS)[-1])


def _warnings(deployment: Deployment, places: _Crowd, wanted: int, bins: int, hide: bool) -> tuple[str, ...]:
    found = []
    if bins < wanted:
        found.append(
            f"the busiest place has {places.busiest[0]:.0%} of all sessions: to hide which of {wanted} bins is its "
            f"would store the index by place {places.fullest(wanted):.1f} times; so there are {bins}"
        )
    if not hide:
        found.append(
            f"hiding volume would store more than {deployment.most_storage:g} of what plaintext takes; without it the "
            "size of a bin's cells tells how much is in it, and so which bin is that of a dominant place"
        )
    if deployment.devices < 2 * deployment.least_devices:
        found.append(
            f"{deployment.devices:,} devices are too few for two bins of {deployment.least_devices:,}: a question "
            "about one reads the records of all"
        )
    return tuple(found)
