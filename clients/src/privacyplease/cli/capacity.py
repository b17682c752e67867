"""Capacity planning: what a deployment stores and a question fetches, calculated from the number of records.

The size of a cell is a function of the number of its records, so the result is exact for one cell; the number of cells
is an estimate. Both are for settled segments, as compaction leaves them: recent records are in smaller segments, which
the proxy keeps in memory.

>>> capacity = plan_capacity(Deployment(records_per_day=24_500))
>>> capacity.segment.records, round(capacity.segment.days, 1), capacity.segment.core_bytes
(65536, 2.7, 524288)
>>> capacity.cover["10s"].records
32
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

SPANS_DAYS = {"1 h": 1 / 24, "1 d": 1.0, "7 d": 7.0, "30 d": 30.0}
COVERS_SECONDS = {"1s": 1, "10s": 10}

# Constants of the proxy: how compaction cuts segments, and how large cells are. Tests compare them with the proxy.
SETTLED_RECORDS = 65_536
MOST_FULL, MOST_CELL_BYTES = 4, 8 * 1024 * 1024
LEAST_ROLLED_UP_RECORDS = 32_768
LEAST_ROLLUPS = 8
FIRST_RECORDS, FIRST_FACTOR = 4_096, 8
LEAST_CELL_BYTES, ROOM_PER_COLUMN = 1_024, 128
MOST_COVER_RECORDS = 65_536

# The share of a day's records that begin in its busiest hour, and for how long after the start of a segment's last
# record its longest record lasts. Both are from the simulated campus, with 1,000 and with 20,000 devices.
BUSIEST_SHARE = 0.15
_OUTLASTING_HOURS = 1

# A flush has room for this many times the mean of the busiest hour; further records wait for the next flush.
_HEADROOM = 2
_LEAST_COVER_RECORDS = 16

# Bytes of memory for each record of an opened cell.
_OPENED_BYTES = 12

# Bytes of a WiFi session in an InnoDB table with all columns, a primary key and two indexes, after LOAD DATA.
PLAINTEXT_BYTES = 307
# Bytes of InnoDB for each byte of sealed cells, most of them of 512 KiB: half-filled last pages, room for growth.
DATABASE_FACTOR = 1.11

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Deployment:
    """What to store. By default, records are as large as WiFi sessions.

    Attributes:
        records_per_day: Records per day.
        busiest_hour: Records in the busiest hour; None for `BUSIEST_SHARE` of a day's.
        columns: Columns other than who, where, from when and for how long.
        core: Bytes per record in the cell of these four.
        rest: Bytes per record in the cell of the other columns.
        rollup: Bytes per record in a roll-up.
        epoch_days: Days that share keys and are erased together.
        cover: How often to send cover traffic, "1s" or "10s".
    """

    records_per_day: int
    busiest_hour: int | None = None
    columns: int = 11
    core: float = 5.0
    rest: float = 3.0
    rollup: float = 0.5
    epoch_days: int = 30
    cover: str = "10s"

    @property
    def busiest(self) -> float:
        """Records that begin in the busiest hour."""
        return self.records_per_day * BUSIEST_SHARE if self.busiest_hour is None else self.busiest_hour


@dataclass(frozen=True)
class SettledSegment:
    """A settled segment.

    Attributes:
        records: Records in it.
        days: Days in which as many records arrive, on average.
        core_bytes: Size of the cell with who, where, from when and for how long.
        rest_bytes: Size of the cell with all other columns.
        rollup_bytes: Size of its roll-up; 0 if it is too small to have one.
    """

    records: int
    days: float
    core_bytes: int
    rest_bytes: int
    rollup_bytes: int


@dataclass(frozen=True)
class QuestionCost:
    """What a question fetches the first time, when nothing is in memory.

    Attributes:
        segments: Segments that it touches.
        bytes: For presence, dwell and series: their core cells.
        counted_bytes: For a count, which uses roll-ups if many whole segments are in the interval.
        columns_bytes: For whole records, with all columns.
        whole_days_bytes: As `bytes`, if `prefetch` widens the question to whole days.
    """

    segments: float
    bytes: int
    counted_bytes: int
    columns_bytes: int
    whole_days_bytes: int


@dataclass(frozen=True)
class CoverCost:
    """What cover traffic costs: sending the same amount at a fixed rate, with or without records.

    Attributes:
        records: Records that each flush appears to have: `cover_records`.
        sent_bytes: Bytes sent per day, until compaction merges them.
    """

    records: int
    sent_bytes: int


@dataclass(frozen=True)
class CapacityPlan:
    """What a deployment costs.

    Attributes:
        segment: A settled segment.
        stored_bytes_a_day: Growth of the database per day.
        stored_bytes_a_year: Growth of the database per year.
        beside_plaintext: Its size relative to as many WiFi sessions in a plaintext table with two indexes.
        fetched: What a question fetches, by the length of its interval.
        cache_mib: The `--cache-mib` that keeps 30 days in memory.
        opened_bytes: Memory of the proxy for these 30 days if all their cells are opened.
        cover: What cover traffic costs, by its period.
    """

    segment: SettledSegment
    stored_bytes_a_day: int
    stored_bytes_a_year: int
    beside_plaintext: float
    fetched: dict[str, QuestionCost]
    cache_mib: int
    opened_bytes: int
    cover: dict[str, CoverCost]


def plan_capacity(deployment: Deployment) -> CapacityPlan:
    """Calculates what a deployment costs."""
    sizes = _Sizes(deployment)
    segment = sizes.settled
    all_bytes = segment.core_bytes + segment.rest_bytes + segment.rollup_bytes
    daily = all_bytes / segment.days * DATABASE_FACTOR
    fetched = {name: sizes.fetched(days) for name, days in SPANS_DAYS.items()}
    month = sizes.touched(SPANS_DAYS["30 d"] + 1)
    return CapacityPlan(
        segment=segment,
        stored_bytes_a_day=round(daily),
        stored_bytes_a_year=round(daily * 365),
        beside_plaintext=daily / (deployment.records_per_day * PLAINTEXT_BYTES),
        fetched=fetched,
        cache_mib=math.ceil(month * (segment.core_bytes + segment.rollup_bytes) / (1 << 20)),
        opened_bytes=round(month * segment.records * _OPENED_BYTES),
        cover={name: sizes.cover(seconds) for name, seconds in COVERS_SECONDS.items()},
    )


def cell_bytes(records: int, base: int, per_record: float) -> int:
    """The size of a cell. Its first records take more room than the others: most of them name a new device or place."""
    weighted = records + (FIRST_FACTOR - 1) * min(records, FIRST_RECORDS)
    return size_class(base + int(per_record * weighted))


def size_class(size: int) -> int:
    """The smallest size of the form 2^k · {4, 5, 6, 7} / 4 that is at least `size`."""
    step = 1 << max((size - 1).bit_length() - 3, 0)
    return -(-size // step) * step


@dataclass(frozen=True)
class _Sizes:
    """The sizes of a deployment's cells, and how many segments a question touches."""

    deployment: Deployment

    @cached_property
    def settled(self) -> SettledSegment:
        """A settled segment; it is full unless an epoch has fewer records."""
        per_day = self.deployment.records_per_day
        records = min(self.full_records, per_day * self.deployment.epoch_days)
        rolled_up = self.rollup(records) if records >= LEAST_ROLLED_UP_RECORDS else 0
        return SettledSegment(records, records / per_day, self.core(records), self.rest(records), rolled_up)

    @property
    def full_records(self) -> int:
        """Records in a full segment: fewer than usual if its cells would be larger than the server accepts."""
        records = SETTLED_RECORDS
        sizes = (self.core, self.rest, self.rollup)
        while records > 1 and any(size(MOST_FULL * records) > MOST_CELL_BYTES for size in sizes):
            records //= 2
        return records

    def core(self, records: int) -> int:
        return cell_bytes(records, LEAST_CELL_BYTES, self.deployment.core)

    def rest(self, records: int) -> int:
        return cell_bytes(records, LEAST_CELL_BYTES + ROOM_PER_COLUMN * self.deployment.columns, self.deployment.rest)

    def rollup(self, records: int) -> int:
        return cell_bytes(records, LEAST_CELL_BYTES, self.deployment.rollup)

    def touched(self, days: float) -> float:
        """Segments that a question touches: those of its interval, of records lasting into it, and one before it."""
        hours = 24 * days
        inside = self.deployment.busiest * hours if hours <= 1 else self.deployment.records_per_day * days
        lasting = self.deployment.busiest * _OUTLASTING_HOURS
        return (inside + lasting) / self.settled.records + 1

    def fetched(self, days: float) -> QuestionCost:
        """What a question about `days` days fetches."""
        segments, segment = self.touched(days), self.settled
        inside = max(self.deployment.records_per_day * days / segment.records - 1, 0.0)
        if not segment.rollup_bytes or inside < LEAST_ROLLUPS:
            inside = 0.0
        return QuestionCost(
            segments=segments,
            bytes=round(segments * segment.core_bytes),
            counted_bytes=round((segments - inside) * segment.core_bytes + inside * segment.rollup_bytes),
            columns_bytes=round(segments * (segment.core_bytes + segment.rest_bytes)),
            whole_days_bytes=round(self.touched(days + 1) * segment.core_bytes),
        )

    def cover(self, seconds: int) -> CoverCost:
        """The cost for a flush every `seconds`, with room for the busiest hour: its records are a power of two."""
        wanted = max(self.deployment.busiest * seconds / 3_600 * _HEADROOM, _LEAST_COVER_RECORDS)
        records = min(1 << math.ceil(math.log2(wanted)), MOST_COVER_RECORDS)
        sent = self.core(records) + self.rest(records)
        return CoverCost(records, sent * _DAY_SECONDS // seconds)
