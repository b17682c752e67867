from typing import Any

import pytest
from confluent_kafka import Message

from privacyplease.ingest.dead_letters import Letter, Origin

LETTER = Letter(
    "wifi", "client_mac", "expected a MAC address", Origin("wifi", 3, 4_711, 1_727_740_800_000), b"\x01sealed"
)


def _message(letter: Letter) -> Message:
    return Message(topic="wifi.dlq", value=letter.sealed, key=letter.key, headers=list[Any](letter.headers))


@pytest.mark.parametrize(
    "letter",
    [
        LETTER,
        LETTER._replace(sealed_key=b"\x01key"),
        LETTER._replace(sealed=b"", omitted="expected a smaller one"),
        LETTER._replace(origin=Origin("wifi", 0, 0, -1)),
    ],
)
def test_a_letter_reads_as_it_was_written(letter: Letter) -> None:
    assert Letter.read(_message(letter)) == letter


@pytest.mark.parametrize(
    "headers",
    [
        None,
        LETTER.headers[:-1],
        [(name, b"\xff") for name, _ in LETTER.headers],
        [(name, None) for name, _ in LETTER.headers],
    ],
)
def test_what_is_no_letter_is_none(headers: list[Any] | None) -> None:
    assert Letter.read(Message(topic="wifi.dlq", value=b"anything", headers=headers)) is None
