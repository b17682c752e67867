import logging

import pytest

from privacyplease.ingest.link import Link


def test_a_change_is_one_line_however_many_attempts_there_are(caplog: pytest.LogCaptureFixture) -> None:
    link = Link("proxy")
    with caplog.at_level(logging.INFO):
        waits = [link.failed("ProxyUnreachableError") for _ in range(20)]
        assert link.away
        link.failed("StorageUnavailableError")
        link.answered()
        link.answered()
    assert not link.away
    assert link.attempts == 21
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(waits) == 5.0
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert caplog.messages[:2] == [
        "proxy: ProxyUnreachableError; trying again",
        "proxy: StorageUnavailableError; trying again",
    ]
    assert caplog.messages[2].endswith("21 attempts")


def test_a_wait_begins_small_again_once_it_has_answered() -> None:
    link = Link("proxy")
    for _ in range(9):
        link.failed("away")
    link.answered()
    assert link.failed("away") == 0.1
