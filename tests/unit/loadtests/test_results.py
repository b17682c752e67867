"""The knee is the last number of users that is kept up with, for whichever reason the next one is not."""

from __future__ import annotations

import doctest
import math

import pytest

from loadtests import __main__ as command
from loadtests.results import Called, by_kind, faults, knee, latencies, steps

SECONDS = 10.0


def calls(step: int, number: int, millis: float = 10, code: str = "OK", user: str = "Guard") -> list[Called]:
    """Calls that ended evenly over the counted part of a step."""
    begin, width = (step + 0.2) * SECONDS, 0.8 * SECONDS
    return [Called(begin + width * n / number, user, "presence", millis, 100, code) for n in range(number)]


def test_the_example_of_steps_holds() -> None:
    assert doctest.testmod(command).failed == 0


def test_throughput_and_percentiles_are_those_of_calls_that_went_well() -> None:
    found = latencies([*calls(0, 99, 10), *calls(0, 1, 500), *calls(0, 5, 9_999, "INTERNAL")], 8.0)
    assert (found.calls, found.failures, found.bytes) == (105, {"INTERNAL": 5}, 100)
    assert found.per_second == pytest.approx(100 / 8)
    assert found.p50 == 10
    assert 10 < found.p99 < 500
    assert found.failed == pytest.approx(5 / 105)


def test_no_call_went_well() -> None:
    found = latencies(calls(0, 3, code="UNAVAILABLE"), 8.0)
    assert (found.per_second, found.failed) == (0, 1)
    assert math.isnan(found.p99)


def test_settling_ingest_and_connecting_do_not_count_as_questions() -> None:
    settling = [Called(1.0, "Guard", "presence", 10, 0, "OK")]
    connecting = [Called(5.0, "Guard", "connect", 900, 0, "OK")]
    (step,) = steps([*settling, *connecting, *calls(0, 8), *calls(0, 4, user="Ingest")], [8], SECONDS)
    assert (step.questions.calls, step.questions.p99, step.batches.calls) == (8, 10, 4)


def test_everything_keeps_up() -> None:
    found = steps([*calls(0, 80), *calls(1, 160), *calls(2, 320)], [8, 16, 32], SECONDS)
    assert knee(found, 1_000, 0.01) == 2


@pytest.mark.parametrize(
    "late",
    [
        calls(2, 200),  # hardly more answers for twice the users
        calls(2, 320, 5_000),  # too slow
        [*calls(2, 320), *calls(2, 20, code="RESOURCE_EXHAUSTED")],  # turned away
        [*calls(2, 320), *calls(2, 9, user="Ingest"), *calls(2, 1, code="UNAVAILABLE", user="Ingest")],
        [],
    ],
)
def test_a_step_does_not_keep_up(late: list[Called]) -> None:
    found = steps([*calls(0, 80), *calls(1, 160), *late, *calls(3, 640)], [8, 16, 32, 64], SECONDS)
    assert knee(found, 1_000, 0.01) == 1


def test_not_even_the_first_step_keeps_up() -> None:
    assert knee(steps(calls(0, 80, 5_000), [8], SECONDS), 1_000, 0.01) is None


def test_being_turned_away_is_no_fault() -> None:
    assert faults([*calls(0, 8), *calls(0, 1, code="RESOURCE_EXHAUSTED"), *calls(0, 1, code="DATA_LOSS")]) == 0.1


def test_kinds_are_told_apart() -> None:
    found = by_kind([*calls(0, 3), *calls(0, 2, user="Ingest")], 10)
    assert {kind: each.calls for kind, each in found.items()} == {("Guard", "presence"): 3, ("Ingest", "presence"): 2}
