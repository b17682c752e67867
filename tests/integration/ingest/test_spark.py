"""One stream by a local Spark; `make spark-test` has the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from privacyplease.ingest import wifi
from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.known_answers import ONE_DAY, questions
from tests.services.plaintext_search import files_with
from tests.services.sessions import MAC, longest
from tests.services.spark_job import SparkJob

THE_DAY = datetime(2024, 9, 30, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)


@pytest.mark.usefixtures("spark")
def test_a_day_of_the_log_is_stored_once_and_its_bad_messages_are_sealed(site: KafkaSite) -> None:
    questions()
    day = pa.concat_tables(block.table for block in wifi.read(ONE_DAY))
    assert site.replay([day]) == 9_059
    bad = [site.session(1, mac="Hall-eight"), b"", site.session(2, start="at noon")]
    site.produce(bad)
    endpoints = site.servers.proxy, site.kafka.bootstrap, site.topic
    certificates = site.servers.certificates
    with SparkJob(site.folder, *endpoints, "--trigger", "now", certificates=certificates) as job:
        assert job.wait() == 0, job.log
        assert "stopped; consumed 9,062, stored 9,059, dead letters 3" in job.log
    assert longest(site.client.query("wifi", *THE_DAY, purpose="test").to_arrow()) == longest(day)
    letters = sorted(site.letters(), key=lambda letter: int(letter["from"]["offset"]))
    assert [letter["message"].encode() for letter in letters] == bad
    assert [letter["field"] for letter in letters] == ["client_mac", "record", "association_time"]
    assert files_with(site.folder, {*day["ap_name"].to_pylist()}) == []
    assert not MAC.search(site.logs)
