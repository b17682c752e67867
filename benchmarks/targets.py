"""The performance targets, as bounds on what is measured.

Most bound a ratio to the same job in plaintext, on the same machine in the same run; those with a unit other than "×"
bound the encrypted side's own figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TEN_MILLION = 10_000_000
HUNDRED_MILLION = 100_000_000


@dataclass(frozen=True)
class PerformanceTarget:
    """A bound on one figure.

    Attributes:
        what: The figure that is bounded.
        bound: The bound.
        at_least: Whether it is a lower bound; otherwise it is an upper bound.
        unit: The unit of the bound: "×" for a ratio to plaintext.
        scale: The number of sessions at which it applies; 0 for any.
        cost: Why it is hard to meet; shown in the report when it is not met.
    """

    what: str
    bound: float
    at_least: bool = False
    unit: str = "×"
    scale: int = 0
    cost: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,g}{self.unit}"

    def met(self, value: float) -> bool:
        """Whether a value meets it."""
        return value >= self.bound if self.at_least else value <= self.bound


BULK_INSERT = PerformanceTarget(
    "bulk ingest, compared with `executemany`",
    10,
    at_least=True,
    cost="both sides spend time parsing the text log; the section on building 10 M sessions ingests tables in memory",
)
BULK_LOAD = PerformanceTarget(
    "bulk ingest, compared with `LOAD DATA`",
    4,
    at_least=True,
    cost="both sides spend time parsing the text log, and `LOAD DATA` goes to the database without a service between",
)
STREAM = PerformanceTarget(
    "stream ingest, compared with the plaintext consumer",
    5,
    at_least=True,
    cost="most of the time goes into reading from Kafka and parsing, which the same consumer does on both sides",
)
SPARK = PerformanceTarget("Spark's stream, compared with the consumer", 0.7, at_least=True)
SPARK_LATENCY_S = PerformanceTarget("from event to answer by Spark, p95", 2.5, unit=" s")
STORAGE = PerformanceTarget("storage after compaction", 0.08, scale=TEN_MILLION)
BUSIEST = PerformanceTarget(
    "count, busiest place, every range",
    0.05,
    scale=TEN_MILLION,
    cost="missed only for short ranges, where a call takes a few milliseconds and plaintext only some tens",
)
QUIET = PerformanceTarget(
    "count, quiet place, every range",
    0.6,
    scale=TEN_MILLION,
    cost="a question about a quiet place has to read the same cells as one about any other place",
)
BUILDING = PerformanceTarget("count, whole building, every range", 0.01, scale=TEN_MILLION)
PRESENCE = PerformanceTarget(
    "presence, p50, asked again", 1, cost="the policy check and the audit log add a millisecond to each call"
)
PRESENCE_MS = PerformanceTarget(
    "presence, p50, asked again, in ms",
    8,
    unit=" ms",
    cost="missed only over all of time, where every segment is searched",
)
FIRST = PerformanceTarget(
    "presence and count, asked for the first time, up to 7 d",
    3,
    cost="plaintext reads only the rows of one device or place; the proxy fetches every cell of the interval",
)
FIRST_MS = PerformanceTarget("presence and count, asked for the first time, up to 7 d, in ms", 40, unit=" ms")
FIRST_ALL_TIME_MS = PerformanceTarget(
    "presence and count, asked for the first time, all of time, in ms", 1_000, unit=" ms", scale=TEN_MILLION
)
GROWTH = PerformanceTarget(
    "growth of a fixed range, 1 M to 10 M",
    1.1,
    scale=TEN_MILLION,
    cost="missed only by questions of a few milliseconds, which take less than one millisecond more",
)
COMPACTION = PerformanceTarget("compaction", 200_000, at_least=True, unit=" sessions/s")
AMPLIFICATION = PerformanceTarget("write amplification: bytes sent, divided by bytes kept", 5)
THROUGHPUT = PerformanceTarget(
    "questions a second, 16 clients, mixed",
    0.7,
    at_least=True,
    cost="one Python process answers every question, while MariaDB has a thread for each connection",
)
MONGODB = PerformanceTarget("sealing, compared with MongoDB's client library", 1 / 1000)
FERNET = PerformanceTarget("sealing, compared with Fernet, whole row", 1 / 10)
MEMORY = PerformanceTarget(
    "the proxy's memory",
    512,
    unit=" MiB",
    scale=TEN_MILLION,
    cost="ingesting and compacting a million sessions takes 450 MiB already: batches in flight and a compaction job",
)
TRUSTED_STORE = PerformanceTarget("the trusted store", 5, unit=" MiB", scale=TEN_MILLION)
FIRST_100M_MS = PerformanceTarget(
    "100 M: 30 d presence and count, first time", 1_000, unit=" ms", scale=HUNDRED_MILLION
)
AGAIN_100M_MS = PerformanceTarget("100 M: 30 d presence and count, again", 100, unit=" ms", scale=HUNDRED_MILLION)
ALL_TIME_100M_MS = PerformanceTarget("100 M: all-time count", 1_000, unit=" ms", scale=HUNDRED_MILLION)

ALL = (
    BULK_INSERT,
    BULK_LOAD,
    STREAM,
    SPARK,
    SPARK_LATENCY_S,
    STORAGE,
    PRESENCE,
    PRESENCE_MS,
    FIRST,
    FIRST_MS,
    FIRST_ALL_TIME_MS,
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
    FIRST_100M_MS,
    AGAIN_100M_MS,
    ALL_TIME_100M_MS,
)
