"""What was promised, as bounds on what is measured.

Each bound is set on a figure beside the same job in plaintext on the same machine in the same run, or on ours alone
where the unit says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TEN_MILLION = 10_000_000


@dataclass(frozen=True)
class Target:
    """A bound.

    Attributes:
        what: What it is on.
        bound: The number.
        at_least: Whether it is the least that is wanted; else the most.
        unit: Behind the number: "×" for a ratio to plaintext.
        scale: At how many sessions it holds; 0 for any.
        cost: What stands against it, for whoever reads that it is not met.
    """

    what: str
    bound: float
    at_least: bool = False
    unit: str = "×"
    scale: int = 0
    cost: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit}"

    def met(self, value: float) -> bool:
        """Whether a value keeps it."""
        return value >= self.bound if self.at_least else value <= self.bound


BULK_INSERT = Target(
    "bulk ingest, beside `executemany`",
    4,
    at_least=True,
    cost="each session is compressed and sealed into two indexes, by a process that shares the cores with the rest",
)
BULK_LOAD = Target("bulk ingest, beside `LOAD DATA`", 1, at_least=True, cost="`LOAD DATA` has no service in its way")
STREAM = Target(
    "stream ingest, beside the plaintext consumer",
    3,
    at_least=True,
    cost="the consumer, which is the same on both sides, takes most of the time: reading Kafka and parsing",
)
STORAGE_PLAIN = Target("storage after compaction, volume hiding off", 0.4, scale=TEN_MILLION)
STORAGE_HIDDEN = Target(
    "storage after compaction, volume hiding on", 0.8, scale=TEN_MILLION, cost="every bin is as large as the fullest"
)
BUSIEST = Target(
    "count, busiest place, every range",
    0.2,
    scale=TEN_MILLION,
    cost="over a short range the plaintext index has few rows to read, and we open a cell of everybody in the bin",
)
QUIET = Target(
    "count, quiet place, every range",
    1.5,
    scale=TEN_MILLION,
    cost="whoever asks for a quiet place reads all places of its bin, or the server would know that it is quiet",
)
BUILDING = Target(
    "count, whole building, every range",
    0.05,
    scale=TEN_MILLION,
    cost="over the whole of time both sides read everything",
)
PRESENCE = Target(
    "presence, p50",
    2,
    cost="the plaintext index reads the rows of one device; we look through everybody in its bin, and record who asked",
)
PRESENCE_MS = Target(
    "presence, p50, in ms",
    10,
    unit=" ms",
    cost="all of time touches every run; what was not asked lately is opened first",
)
GROWTH = Target("growth of a fixed range, 1 M to 10 M", 1.2, scale=TEN_MILLION)
THROUGHPUT = Target(
    "questions a second, 16 clients, mixed",
    0.7,
    at_least=True,
    cost="one Python process opens all cells, where MariaDB has a thread for each connection",
)
MONGODB = Target("sealing, beside MongoDB's client library", 1 / 1000)
FERNET = Target(
    "sealing, beside Fernet a row",
    1 / 10,
    cost="half of ours is compression, which Fernet leaves out, and each session is sealed into two indexes",
)
MEMORY = Target("the proxy's memory", 1024, unit=" MiB", scale=TEN_MILLION)

ALL = (
    BULK_INSERT,
    BULK_LOAD,
    STREAM,
    STORAGE_PLAIN,
    STORAGE_HIDDEN,
    BUSIEST,
    QUIET,
    BUILDING,
    PRESENCE,
    PRESENCE_MS,
    GROWTH,
    THROUGHPUT,
    MONGODB,
    FERNET,
    MEMORY,
)
