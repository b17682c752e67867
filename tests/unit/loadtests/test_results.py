"""Percentiles, steps, and the knee: the last number of users that the installation keeps up with."""

from __future__ import annotations

import doctest
import math

import pytest

from loadtests import __main__ as command
from loadtests.results import CallRecord, by_kind, faults, knee, latencies, steps

SECONDS = 10.0


def calls(step: int, number: int, millis: float = 10, code: str = "OK", user: str = "Analyst") -> list[CallRecord]:
    """Calls that ended evenly over the counted part of a step."""
    begin, width = (step + 0.2) * SECONDS, 0.8 * SECONDS
    return [CallRecord(begin + width * n / number, user, "presence", millis, 100, code) for n in range(number)]


def test_the_example_of_steps_holds() -> None:
    assert doctest.testmod(command).failed == 0


def test_throughput_and_percentiles_count_only_successful_calls() -> None:
    summary = latencies([*calls(0, 99, 10), *calls(0, 1, 500), *calls(0, 5, 9_999, "INTERNAL")], 8.0)
    assert (summary.calls, summary.failures, summary.bytes) == (105, {"INTERNAL": 5}, 100)
    assert summary.per_second == pytest.approx(100 / 8)
    assert summary.p50 == 10
    assert 10 < summary.p99 < 500
    assert summary.failed == pytest.approx(5 / 105)


def test_without_a_successful_call_there_is_no_throughput_and_no_percentile() -> None:
    summary = latencies(calls(0, 3, code="UNAVAILABLE"), 8.0)
    assert (summary.per_second, summary.failed) == (0, 1)
    assert math.isnan(summary.p99)


def test_settling_ingest_and_connecting_do_not_count_as_questions() -> None:
    settling = [CallRecord(1.0, "Analyst", "presence", 10, 0, "OK")]
    connecting = [CallRecord(5.0, "Analyst", "connect", 900, 0, "OK")]
    (step,) = steps([*settling, *connecting, *calls(0, 8), *calls(0, 4, user="IngestStream")], [8], SECONDS)
    assert (step.questions.calls, step.questions.p99, step.batches.calls) == (8, 10, 4)


def test_the_knee_is_the_last_step_if_every_step_keeps_up() -> None:
    results = steps([*calls(0, 80), *calls(1, 160), *calls(2, 320)], [8, 16, 32], SECONDS)
    assert knee(results, 1_000, 0.01) == 2


@pytest.mark.parametrize(
    "late",
    [
        calls(2, 200),  # hardly more answers for twice the users
        calls(2, 320, 5_000),  # too slow
        [*calls(2, 320), *calls(2, 20, code="RESOURCE_EXHAUSTED")],  # shed
        [*calls(2, 320), *calls(2, 9, user="IngestStream"), *calls(2, 1, code="UNAVAILABLE", user="IngestStream")],
        [],
    ],
)
def test_the_knee_is_the_step_before_one_that_does_not_keep_up(late: list[CallRecord]) -> None:
    results = steps([*calls(0, 80), *calls(1, 160), *late, *calls(3, 640)], [8, 16, 32, 64], SECONDS)
    assert knee(results, 1_000, 0.01) == 1


def test_there_is_no_knee_if_not_even_the_first_step_keeps_up() -> None:
    assert knee(steps(calls(0, 80, 5_000), [8], SECONDS), 1_000, 0.01) is None


def test_load_shedding_is_not_a_fault() -> None:
    assert faults([*calls(0, 8), *calls(0, 1, code="RESOURCE_EXHAUSTED"), *calls(0, 1, code="DATA_LOSS")]) == 0.1


def test_calls_are_summarised_by_user_and_name() -> None:
    kinds = by_kind([*calls(0, 3), *calls(0, 2, user="IngestStream")], 10)
    assert {kind: summary.calls for kind, summary in kinds.items()} == {
        ("Analyst", "presence"): 3,
        ("IngestStream", "presence"): 2,
    }
