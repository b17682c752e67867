"""A little of what `make soak` does at length."""

from __future__ import annotations

from pathlib import Path

from tests.services.effort import tries
from tests.services.fuzzing import Fuzz, targets


def test_requests_that_nobody_would_send_do_no_harm(tmp_path: Path) -> None:
    with targets(tmp_path) as at:
        outcome = Fuzz(at, seed=20241001).run(calls=tries(100, 300), connections=tries(40, 100))
    assert not outcome.faults
    answered = {status for _, status in outcome.statuses}
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"} <= answered
