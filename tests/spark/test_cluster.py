"""A standalone cluster whose parts are killed, each of them, while the real log streams in."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa

from privacyplease.ingest import wifi
from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.known_answers import LARGE, questions, wrong_answers
from tests.services.plaintext_search import files_with
from tests.services.polling import eventually
from tests.services.sessions import MAC, longest
from tests.services.spark_cluster import SparkCluster
from tests.services.spark_job import SparkJob

_PIECES = 60
_EVERYTHING = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 12, 31, tzinfo=UTC)


def test_nothing_is_lost_or_stored_twice_whatever_is_killed(site: KafkaSite, start: Callable[..., SparkJob]) -> None:
    questions()
    log = pa.concat_tables(block.table for block in wifi.read(LARGE)).sort_by("association_time")
    with SparkCluster(site.folder / "cluster") as cluster:
        flags = ("--master", cluster.master, "--trigger", "500ms")
        job = start(*flags, name="driver")
        assert eventually(lambda: job.started, 120), job.log

        def kill_python_worker() -> None:
            assert eventually(lambda: bool(cluster.python_workers()), 60)
            cluster.python_workers()[0].kill()

        def kill_executor() -> None:
            assert eventually(lambda: bool(cluster.executors()), 60)
            cluster.executors()[0].kill()

        def kill_worker() -> None:
            cluster.workers[0].kill()
            cluster.workers[0].start()

        def kill_driver() -> None:
            job.kill()
            job.start()

        kills = {10: kill_python_worker, 18: kill_executor, 26: kill_worker, 34: kill_driver}
        kills |= {40: kill_python_worker, 45: kill_executor, 50: kill_worker, 55: kill_driver}
        for number in range(_PIECES):
            size = -(-len(log) // _PIECES)
            site.replay([log.slice(number * size, size)])
            if number in kills:
                kills[number]()
            time.sleep(0.5)  # the pace of the stream
        expected = longest(log)
        assert eventually(lambda: len(_stored(site)) >= len(expected), 240), job.log
        stored = _stored(site)
        assert longest(stored) == expected
        assert len(stored) == len(expected)
        assert wrong_answers(site.client) == []
        assert job.stop() == 0
    assert not MAC.search(site.logs)
    # What executors that were killed have left behind is there as well.
    assert files_with(site.folder, set(log["ap_name"].unique().to_pylist())) == []


def _stored(site: KafkaSite) -> pa.Table:
    return site.client.query("wifi", *_EVERYTHING, purpose="test").to_arrow()
