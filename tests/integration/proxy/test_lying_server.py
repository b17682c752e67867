"""Whatever the storage server changes in an answer is found, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.deception import deception
from tests.services.lying_server import LIES

SEED = 20_241_001


@pytest.mark.parametrize("concurrently", [False, True], ids=["at rest", "while records come in"])
def test_every_lie_is_found_and_no_honest_answer_is_refused(tmp_path: Path, concurrently: bool) -> None:
    with deception(tmp_path, SEED + concurrently) as deceived:
        if concurrently:
            with deceived.ingesting():
                outcome = deceived.ask(lies=150, honest=150)
        else:
            outcome = deceived.ask(lies=150, honest=150)
    shown = json.dumps(
        {f"{lie}: {reason}": times for (lie, reason), times in sorted(outcome.detected.items())}, indent=1
    )
    assert (outcome.missed, outcome.alarms) == ([], []), shown
    assert (outcome.detected.total(), outcome.honest) == (150, 150)
    assert {lie for lie, _ in outcome.detected} == set(LIES)
