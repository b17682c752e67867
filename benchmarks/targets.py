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


HUNDRED_MILLION = 100_000_000

BULK_INSERT = Target(
    "bulk ingest, beside `executemany`",
    10,
    at_least=True,
    cost="the log is read as text on both sides; from tables in memory see the building of 10 M",
)
BULK_LOAD = Target(
    "bulk ingest, beside `LOAD DATA`", 4, at_least=True, cost="likewise; and `LOAD DATA` has no service in its way"
)
STREAM = Target(
    "stream ingest, beside the plaintext consumer",
    5,
    at_least=True,
    cost="the consumer, which is the same on both sides, takes most of the time: reading Kafka and parsing",
)
STORAGE = Target("storage after compaction", 0.08, scale=TEN_MILLION)
BUSIEST = Target(
    "count, busiest place, every range",
    0.05,
    scale=TEN_MILLION,
    cost="an hour and a day alone: a call takes two milliseconds, and plaintext no more than 50",
)
QUIET = Target(
    "count, quiet place, every range",
    0.6,
    scale=TEN_MILLION,
    cost="whoever asks for a quiet place reads what whoever asks for any place reads",
)
BUILDING = Target("count, whole building, every range", 0.01, scale=TEN_MILLION)
PRESENCE = Target("presence, p50, asked again", 1, cost="a call through policy and audit log takes a millisecond")
PRESENCE_MS = Target(
    "presence, p50, asked again, in ms", 8, unit=" ms", cost="all of time alone: each segment is looked through"
)
FIRST = Target(
    "presence and count, asked for the first time, up to 7 d",
    3,
    cost="plaintext reads the rows of one device or place, and we fetch all of the time that is asked about",
)
FIRST_MS = Target("presence and count, asked for the first time, up to 7 d, in ms", 40, unit=" ms")
FIRST_EVER_MS = Target(
    "presence and count, asked for the first time, all of time, in ms", 1_000, unit=" ms", scale=TEN_MILLION
)
GROWTH = Target(
    "growth of a fixed range, 1 M to 10 M", 1.1, scale=TEN_MILLION, cost="half a millisecond of two, in short counts"
)
COMPACTION = Target("compaction", 200_000, at_least=True, unit=" sessions/s")
AMPLIFICATION = Target("write amplification: all bytes sent, beside those that remain", 5)
THROUGHPUT = Target(
    "questions a second, 16 clients, mixed",
    0.7,
    at_least=True,
    cost="one Python process answers all, where MariaDB has a thread for each connection",
)
MONGODB = Target("sealing, beside MongoDB's client library", 1 / 1000)
FERNET = Target("sealing, beside Fernet a row", 1 / 10)
MEMORY = Target(
    "the proxy's memory",
    512,
    unit=" MiB",
    scale=TEN_MILLION,
    cost="a million sessions, ingested and compacted, take 450 already: batches on their way, and a job of compaction",
)
TRUSTED_STORE = Target("the trusted store", 5, unit=" MiB", scale=TEN_MILLION)
FAR_FIRST_MS = Target("100 M: 30 d presence and count, first time", 1_000, unit=" ms", scale=HUNDRED_MILLION)
FAR_AGAIN_MS = Target("100 M: 30 d presence and count, again", 100, unit=" ms", scale=HUNDRED_MILLION)
FAR_EVER_MS = Target("100 M: all-time count", 1_000, unit=" ms", scale=HUNDRED_MILLION)

ALL = (
    BULK_INSERT,
    BULK_LOAD,
    STREAM,
    STORAGE,
    PRESENCE,
    PRESENCE_MS,
    FIRST,
    FIRST_MS,
    FIRST_EVER_MS,
    BUSIEST,
    QUIET,
    BUILDING,
    GROWTH,
    COMPACTION,
    AMPLIFICATION,
    THROUGHPUT,
    MONGODB,
    FERNET,
    MEMORY,
    TRUSTED_STORE,
    FAR_FIRST_MS,
    FAR_AGAIN_MS,
    FAR_EVER_MS,
)
