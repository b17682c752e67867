"""What a load test found: pure functions over its calls.

A step's first fifth is for settling and does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

SETTLING = 0.2
INGEST = "Ingest"
CONNECT = "connect"

# A proxy that turns calls away because there are too many does what it should; beyond the knee, that is.
SHED = "RESOURCE_EXHAUSTED"


class Called(NamedTuple):
    """A call: when it ended, in seconds since the start; who made it, what for; ms, bytes, and gRPC's code."""

    at: float
    user: str
    name: str
    millis: float
    bytes: int
    code: str

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.code != "OK"


@dataclass(frozen=True)
class Latencies:
    """Calls of one kind.

    Attributes:
        calls: How many ended.
        failures: How many failed, by gRPC's code.
        per_second: Calls that went well, a second.
        p50, p95, p99: Percentiles of their latency, in ms; not a number if none went well.
        bytes: Received for one that went well, in the mean.
    """

    calls: int
    failures: dict[str, int]
    per_second: float
    p50: float
    p95: float
    p99: float
    bytes: float

    @property
    def failed(self) -> float:
        """The share that failed."""
        return sum(self.failures.values()) / self.calls if self.calls else 0.0


@dataclass(frozen=True)
class Step:
    """What happened with a number of users: all questions, and the batches that were ingested beside them."""

    users: int
    questions: Latencies
    batches: Latencies


def latencies(calls: Sequence[Called], seconds: float) -> Latencies:
    """Sums up calls that ended within so many seconds."""
    well = [call for call in calls if not call.failed]
    millis = np.array([call.millis for call in well] or [np.nan])
    p50, p95, p99 = np.quantile(millis, (0.5, 0.95, 0.99)).tolist()
    return Latencies(
        len(calls),
        dict(Counter(call.code for call in calls if call.failed)),
        len(well) / seconds,
        p50,
        p95,
        p99,
        sum(call.bytes for call in well) / max(len(well), 1),
    )


def by_kind(calls: Iterable[Called], seconds: float) -> dict[tuple[str, str], Latencies]:
    """Sums up by user and what the user asked."""
    ordered = sorted(calls, key=lambda call: call[1:3])
    return {kind: latencies(list(group), seconds) for kind, group in groupby(ordered, key=lambda call: call[1:3])}


def steps(calls: Sequence[Called], users: Sequence[int], step_seconds: float) -> list[Step]:
    """Sums up by step."""
    return [
        _step(calls, number, (index + SETTLING) * step_seconds, (index + 1) * step_seconds)
        for index, number in enumerate(users)
    ]


def _step(calls: Sequence[Called], users: int, begin: float, end: float) -> Step:
    ended = [call for call in calls if begin <= call.at < end and call.name != CONNECT]
    questions = [call for call in ended if call.user != INGEST]
    batches = [call for call in ended if call.user == INGEST]
    return Step(users, latencies(questions, end - begin), latencies(batches, end - begin))


def knee(found: Sequence[Step], most_p99: float, most_failed: float) -> int | None:
    """The last step that keeps up, as its index; None if not even the first does.

    A step keeps up while each user gets at least four fifths of the answers that a user gets in the first step, p99
    is at most `most_p99` ms, and at most a share of `most_failed` fails.
    """
    alone = found[0].questions.per_second / found[0].users
    last = None
    for index, step in enumerate(found):
        questions = step.questions
        keeps_up = questions.per_second >= 0.8 * alone * step.users and questions.p99 <= most_p99
        if not keeps_up or questions.failed > most_failed or step.batches.failed > most_failed:
            break
        last = index
    return last


def faults(calls: Sequence[Called]) -> float:
    """The share of calls that failed for another reason than that there were too many."""
    return sum(call.failed and call.code != SHED for call in calls) / max(len(calls), 1)
