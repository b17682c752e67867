"""The results of a load test: pure functions over its calls.

The first fifth of each step is a settling time and does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

SETTLING = 0.2
INGEST = "IngestStream"
CONNECT = "connect"

# Beyond the knee the proxy is expected to shed load with this code.
SHED = "RESOURCE_EXHAUSTED"


class CallRecord(NamedTuple):
    """A call: when it ended, in seconds since the start; its user and name; ms, bytes, and the gRPC code."""

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
    """The latencies of calls of one kind.

    Attributes:
        calls: How many ended.
        failures: How many failed, by gRPC code.
        per_second: Successful calls per second.
        p50, p95, p99: Percentiles of the latency of successful calls, in ms; NaN if none succeeded.
        bytes: Mean bytes received per successful call.
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
class StepResult:
    """The result of one number of users: all questions, and the batches that were ingested meanwhile."""

    users: int
    questions: Latencies
    batches: Latencies


def latencies(calls: Sequence[CallRecord], seconds: float) -> Latencies:
    """Summarises calls that ended within a number of seconds."""
    successful = [call for call in calls if not call.failed]
    millis = np.array([call.millis for call in successful] or [np.nan])
    p50, p95, p99 = np.quantile(millis, (0.5, 0.95, 0.99)).tolist()
    return Latencies(
        calls=len(calls),
        failures=dict(Counter(call.code for call in calls if call.failed)),
        per_second=len(successful) / seconds,
        p50=p50,
        p95=p95,
        p99=p99,
        bytes=sum(call.bytes for call in successful) / max(len(successful), 1),
    )


def by_kind(calls: Iterable[CallRecord], seconds: float) -> dict[tuple[str, str], Latencies]:
    """Summarises by user and name of the call."""
    ordered = sorted(calls, key=lambda call: call[1:3])
    return {kind: latencies(list(group), seconds) for kind, group in groupby(ordered, key=lambda call: call[1:3])}


def steps(calls: Sequence[CallRecord], users: Sequence[int], step_seconds: float) -> list[StepResult]:
    """Summarises by step."""
    return [
        _step(calls, number, (index + SETTLING) * step_seconds, (index + 1) * step_seconds)
        for index, number in enumerate(users)
    ]


def _step(calls: Sequence[CallRecord], users: int, begin: float, end: float) -> StepResult:
    ended = [call for call in calls if begin <= call.at < end and call.name != CONNECT]
    questions = [call for call in ended if call.user != INGEST]
    batches = [call for call in ended if call.user == INGEST]
    return StepResult(users, latencies(questions, end - begin), latencies(batches, end - begin))


def knee(results: Sequence[StepResult], most_p99: float, most_failed: float) -> int | None:
    """The index of the last step that keeps up; None if not even the first does.

    A step keeps up if each user gets at least four fifths of the answers that a user gets in the first step, p99 is at
    most `most_p99` ms, and at most a share of `most_failed` fails.
    """
    per_user = results[0].questions.per_second / results[0].users
    last = None
    for index, step in enumerate(results):
        questions = step.questions
        keeps_up = questions.per_second >= 0.8 * per_user * step.users and questions.p99 <= most_p99
        if not keeps_up or questions.failed > most_failed or step.batches.failed > most_failed:
            break
        last = index
    return last


def faults(calls: Sequence[CallRecord]) -> float:
    """The share of calls that failed for a reason other than load shedding."""
    return sum(call.failed and call.code != SHED for call in calls) / max(len(calls), 1)
