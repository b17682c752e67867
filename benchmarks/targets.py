"""What was promised, as bounds on what is measured.

Each bound is set on a figure beside the same job in plaintext on the same machine in the same run, or on ours alone
where the unit says so.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    what: str
    bound: float
    at_least: bool = False
    unit: str = "×"
    scale: int = 0

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit}"

    def met(self, value: float) -> bool:
        """Whether a value keeps it."""
        return value >= self.bound if self.at_least else value <= self.bound


BULK_INSERT = Target("bulk ingest, beside `executemany`", 4, at_least=True)
BULK_LOAD = Target("bulk ingest, beside `LOAD DATA`", 1, at_least=True)
STREAM = Target("stream ingest, beside the plaintext consumer", 3, at_least=True)
STORAGE_PLAIN = Target("storage after compaction, volume hiding off", 0.4, scale=TEN_MILLION)
STORAGE_HIDDEN = Target("storage after compaction, volume hiding on", 0.8, scale=TEN_MILLION)
BUSIEST = Target("count, busiest place, every range", 0.2, scale=TEN_MILLION)
QUIET = Target("count, quiet place, every range", 1.5, scale=TEN_MILLION)
BUILDING = Target("count, whole building, every range", 0.05, scale=TEN_MILLION)
PRESENCE = Target("presence, p50", 2)
PRESENCE_MS = Target("presence, p50, in ms", 10, unit=" ms")
GROWTH = Target("growth of a fixed range, 1 M to 10 M", 1.2)
THROUGHPUT = Target("questions a second, 16 clients, mixed", 0.7, at_least=True)
MONGODB = Target("sealing, beside MongoDB's client library", 1 / 1000)
FERNET = Target("sealing, beside Fernet a row", 1 / 10)
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
