import logging

import pytest

from privacyplease.ingest.kafka.service_availability import ServiceAvailability


def test_each_change_is_logged_once_however_many_attempts_there_are(caplog: pytest.LogCaptureFixture) -> None:
    service = ServiceAvailability("proxy")
    with caplog.at_level(logging.INFO):
        waits = [service.failed("ProxyUnreachableError") for _ in range(20)]
        assert service.unavailable
        service.failed("StorageUnavailableError")
        service.succeeded()
        service.succeeded()
    assert not service.unavailable
    assert service.attempts == 21
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(waits) == 5.0
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert caplog.messages[:2] == [
        "proxy: ProxyUnreachableError; retrying",
        "proxy: StorageUnavailableError; retrying",
    ]
    assert caplog.messages[2].endswith("21 attempts")


def test_the_delay_starts_again_from_its_shortest_after_a_success() -> None:
    service = ServiceAvailability("proxy")
    for _ in range(9):
        service.failed("unavailable")
    service.succeeded()
    assert service.failed("unavailable") == 0.1


def test_it_gives_up_only_when_its_patience_is_over() -> None:
    given_up: list[bool] = []
    patient = ServiceAvailability("proxy", patience_s=60, give_up=lambda: given_up.append(True))
    impatient = ServiceAvailability("proxy", patience_s=0, give_up=lambda: given_up.append(False))
    for _ in range(3):
        patient.failed("unavailable")
    assert given_up == []
    impatient.failed("unavailable")
    assert given_up == [False]
