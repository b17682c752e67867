from typing import Any

import pytest
from confluent_kafka import Message

from privacyplease.ingest.kafka.dead_letters import DeadLetter, Origin

LETTER = DeadLetter(
    "wifi", "client_mac", "expected a MAC address", Origin("wifi", 3, 4_711, 1_727_740_800_000), b"\x01sealed"
)


def _message(letter: DeadLetter) -> Message:
    return Message(topic="wifi.dlq", value=letter.sealed, key=letter.key, headers=list[Any](letter.headers))


@pytest.mark.parametrize(
    "letter",
    [
        LETTER,
        LETTER._replace(sealed_key=b"\x01key"),
        LETTER._replace(sealed_headers=b"\x01headers"),
        LETTER._replace(sealed=b"", omitted="expected a smaller message"),
        LETTER._replace(origin=Origin("wifi", 0, 0, -1)),
    ],
)
def test_a_dead_letter_is_read_back_as_written(letter: DeadLetter) -> None:
    assert DeadLetter.read(_message(letter)) == letter


@pytest.mark.parametrize(
    "headers",
    [
        None,
        LETTER.headers[:-1],
        [(name, b"\xff") for name, _ in LETTER.headers],
        [(name, None) for name, _ in LETTER.headers],
    ],
)
def test_a_message_that_is_not_a_dead_letter_reads_as_none(headers: list[Any] | None) -> None:
    assert DeadLetter.read(Message(topic="wifi.dlq", value=b"anything", headers=headers)) is None
