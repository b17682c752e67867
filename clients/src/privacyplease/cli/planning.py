"""Planning: what a deployment stores and a question fetches, worked out from the number of records.

Arithmetic alone. The size of a cell is a function of the number of its records, so this is exact for one cell; how
many cells there are is an estimate. It is of settled segments, as compaction leaves them: what came in lately lies in
smaller ones, which the proxy keeps in memory.

>>> planned = plan(Deployment(records_per_day=24_500))
>>> planned.segment.records, round(planned.segment.days, 1), planned.segment.core_bytes
(65536, 2.7, 524288)
>>> planned.cover["10s"].records
32
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

SPANS_DAYS = {"1 h": 1 / 24, "1 d": 1.0, "7 d": 7.0, "30 d": 30.0}
COVERS_SECONDS = {"1s": 1, "10s": 10}

# The proxy's: what compaction cuts, and how large a cell is. Tests hold each of them to the proxy's own.
SETTLED_RECORDS = 65_536
MOST_FULL, MOST_CELL_BYTES = 4, 8 * 1024 * 1024
LEAST_ROLLED_UP_RECORDS = 32_768
LEAST_ROLLUPS = 8
FIRST_RECORDS, FIRST_FACTOR = 4_096, 8
LEAST_CELL_BYTES, ROOM_PER_COLUMN = 1_024, 128
MOST_COVER_RECORDS = 65_536

# The share of a day's records that begin in its busiest hour, and how much longer than the last of a segment's records
# begins its longest one lasts: both as the simulated campus has them, of 1,000 and of 20,000 devices.
BUSIEST_SHARE = 0.15
_OUTLASTING_HOURS = 1

# Of what comes in a period of the busiest hour, so much fits: what is more waits for the next period.
_ROOM_FOR_RUSHES = 2
_LEAST_COVER_RECORDS = 16

# What the memory takes for a record whose cell is opened, in bytes.
_OPENED_BYTES = 12

# Of an InnoDB table: bytes of a WiFi session with all columns, a primary key and two indexes, after LOAD DATA.
PLAINTEXT_BYTES = 307
# What InnoDB takes for a byte of sealed cells, most of them of half a MiB: half-filled last pages, room for growth.
DATABASE_FACTOR = 1.11

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Deployment:
    """What is to be kept. Without more, records are as large as WiFi sessions.

    Attributes:
        records_per_day: How many records a day.
        busiest_hour: How many of them in the busiest hour; `BUSIEST_SHARE` of them if None.
        columns: How many columns there are besides who, where, from when and for how long.
        core: What a record takes in the cell of these four, in bytes.
        rest: What it takes in the cell of the others.
        rollup: What it takes in a roll-up.
        epoch_days: The period that has keys of its own, and is erased as a whole.
        cover: How often something is to be sent, "1s" or "10s".
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
        """How many records begin in the busiest hour."""
        return self.records_per_day * BUSIEST_SHARE if self.busiest_hour is None else self.busiest_hour


@dataclass(frozen=True)
class Segment:
    """A settled segment.

    Attributes:
        records: How many records it has.
        days: How long that takes to come in, in the mean.
        core_bytes: The size of the cell with who, where, from when and for how long.
        rest_bytes: That of the cell with every other column.
        rollup_bytes: That of its roll-up; 0 if it is too small for one.
    """

    records: int
    days: float
    core_bytes: int
    rest_bytes: int
    rollup_bytes: int


@dataclass(frozen=True)
class Fetched:
    """What a question fetches the first time, when nothing is in memory.

    Attributes:
        segments: How many segments it touches.
        bytes: For presence, dwell and series: their cores.
        counted_bytes: For a count, which takes roll-ups where many segments lie inside.
        columns_bytes: For whole records, with every column.
        whole_days_bytes: As `bytes`, where `prefetch` widens the question to whole days.
    """

    segments: float
    bytes: int
    counted_bytes: int
    columns_bytes: int
    whole_days_bytes: int


@dataclass(frozen=True)
class Cover:
    """What it costs to send something at a fixed rate, records or not.

    Attributes:
        records: How many records each flush seems to have: `cover_records`.
        sent_bytes: What is sent a day, until compaction merges it.
    """

    records: int
    sent_bytes: int


@dataclass(frozen=True)
class Plan:
    """What a deployment costs.

    Attributes:
        segment: A settled segment.
        stored_bytes_a_day: What the database grows by in a day.
        stored_bytes_a_year: And in a year.
        beside_plaintext: That, beside as many WiFi sessions in a plaintext table with two indexes.
        fetched: What a question fetches, by its length.
        cache_mib: The `--cache-mib` that keeps 30 days at hand.
        opened_bytes: What they take in the proxy's memory when all of them are opened.
        cover: What cover costs, by how often something is sent.
    """

    segment: Segment
    stored_bytes_a_day: int
    stored_bytes_a_year: int
    beside_plaintext: float
    fetched: dict[str, Fetched]
    cache_mib: int
    opened_bytes: int
    cover: dict[str, Cover]


def plan(deployment: Deployment) -> Plan:
    """What a deployment costs."""
    sizes = _Sizes(deployment)
    segment = sizes.settled
    all_bytes = segment.core_bytes + segment.rest_bytes + segment.rollup_bytes
    daily = all_bytes / segment.days * DATABASE_FACTOR
    fetched = {name: sizes.fetched(days) for name, days in SPANS_DAYS.items()}
    month = sizes.touched(SPANS_DAYS["30 d"] + 1)
    return Plan(
        segment=segment,
        stored_bytes_a_day=round(daily),
        stored_bytes_a_year=round(daily * 365),
        beside_plaintext=daily / (deployment.records_per_day * PLAINTEXT_BYTES),
        fetched=fetched,
        cache_mib=math.ceil(month * (segment.core_bytes + segment.rollup_bytes) / (1 << 20)),
        opened_bytes=round(month * segment.records * _OPENED_BYTES),
        cover={name: sizes.cover(seconds) for name, seconds in COVERS_SECONDS.items()},
    )


def cell_bytes(records: int, floor: int, each: float) -> int:
    """The size of a cell of so many records: the first of them name somebody new, and take more room."""
    weighed = records + (FIRST_FACTOR - 1) * min(records, FIRST_RECORDS)
    return size_class(floor + int(each * weighed))


def size_class(size: int) -> int:
    """The smallest of the sizes 2^k · {4, 5, 6, 7} / 4 that is no smaller."""
    step = 1 << max((size - 1).bit_length() - 3, 0)
    return -(-size // step) * step


@dataclass(frozen=True)
class _Sizes:
    """The sizes of a deployment's cells, and how many of them a question touches."""

    deployment: Deployment

    @cached_property
    def settled(self) -> Segment:
        """A settled segment: full, unless an epoch has fewer records."""
        per_day = self.deployment.records_per_day
        records = min(self.full_records, per_day * self.deployment.epoch_days)
        rolled_up = self.rollup(records) if records >= LEAST_ROLLED_UP_RECORDS else 0
        return Segment(records, records / per_day, self.core(records), self.rest(records), rolled_up)

    @property
    def full_records(self) -> int:
        """How many records a full segment has: fewer where its cells would be larger than the server takes."""
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
        """How many segments a question touches: of its time, of what lasts into it, and one that begins before it."""
        hours = 24 * days
        inside = self.deployment.busiest * hours if hours <= 1 else self.deployment.records_per_day * days
        lasting = self.deployment.busiest * _OUTLASTING_HOURS
        return (inside + lasting) / self.settled.records + 1

    def fetched(self, days: float) -> Fetched:
        segments, segment = self.touched(days), self.settled
        inside = max(self.deployment.records_per_day * days / segment.records - 1, 0.0)
        if not segment.rollup_bytes or inside < LEAST_ROLLUPS:
            inside = 0.0
        return Fetched(
            segments=segments,
            bytes=round(segments * segment.core_bytes),
            counted_bytes=round((segments - inside) * segment.core_bytes + inside * segment.rollup_bytes),
            columns_bytes=round(segments * (segment.core_bytes + segment.rest_bytes)),
            whole_days_bytes=round(self.touched(days + 1) * segment.core_bytes),
        )

    def cover(self, seconds: int) -> Cover:
        """As many records as fit the busiest hour with room, a power of two."""
        wanted = max(self.deployment.busiest * seconds / 3_600 * _ROOM_FOR_RUSHES, _LEAST_COVER_RECORDS)
        records = min(1 << math.ceil(math.log2(wanted)), MOST_COVER_RECORDS)
        sent = self.core(records) + self.rest(records)
        return Cover(records, sent * _DAY_SECONDS // seconds)
