"""Nothing is lost and nothing is there twice, whatever part of the pipeline is killed, and whenever."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tests.integration.known_answers import LARGE, questions
from tests.services.effort import tries
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.pipeline_crashes import PARTS, Pipeline, PipelineCrashes
from tests.services.sessions import MAC

KILLS = tries(5, 10)


def test_every_answer_is_right_after_each_part_was_killed_while_the_log_streamed_in(
    kafka: Kafka, mariadb: MariaDB, tmp_path: Path
) -> None:
    # The fixtures say whether this machine can run both; the pipeline starts its own, which nobody else needs.
    questions()
    seed = int(os.environ.get("CRASH_SEED") or secrets.randbelow(1_000_000))
    with Pipeline(tmp_path) as pipeline:
        outcome = PipelineCrashes(pipeline, LARGE, kills=KILLS, seed=seed).run()
        assert outcome.faults == []
        assert outcome.killed == dict.fromkeys(PARTS, KILLS // len(PARTS))
        assert "Traceback" not in pipeline.logs
        assert not MAC.search(pipeline.logs)
