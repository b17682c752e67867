import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.kafka.consumer.parsers import MAX_MESSAGE_BYTES, isolated, parser_for
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage


def _lengths(messages: Sequence[bytes]) -> ParsedMessages:
    """Accepts messages of an odd length, and fails as a whole if one is poison."""
    if b"poison" in messages:
        raise ValueError("poison")
    good = [position for position, message in enumerate(messages) if len(message) % 2]
    table = pa.table({"length": pa.array([len(messages[position]) for position in good], pa.int64())})
    rejects = [
        RejectedMessage(position, "length", "expected an odd length")
        for position, message in enumerate(messages)
        if not len(message) % 2
    ]
    return ParsedMessages(table, np.array(good, np.int64), rejects)


def test_a_message_that_makes_the_parser_fail_is_rejected_alone(caplog: pytest.LogCaptureFixture) -> None:
    messages = [b"a", b"bb", b"poison", b"ccc", b"poison", b"dddd", b"eeeee"]
    with caplog.at_level(logging.INFO):
        parsed = isolated(_lengths)(messages)
    assert parsed.rows.tolist() == [0, 3, 6]
    assert parsed.table["length"].to_pylist() == [1, 3, 5]
    unreadable = "expected a readable record"
    assert sorted(parsed.rejects) == [
        (1, "length", "expected an odd length"),
        (2, "record", unreadable),
        (4, "record", unreadable),
        (5, "length", "expected an odd length"),
    ]
    assert "poison" not in caplog.text


def test_a_message_that_is_too_large_is_rejected_without_parsing() -> None:
    messages = [b"a", bytes(MAX_MESSAGE_BYTES + 1), b"bb", b"ccc"]
    parsed = isolated(_lengths)(messages)
    assert parsed.rows.tolist() == [0, 3]
    assert [(reject.position, reject.field) for reject in parsed.rejects] == [(1, "record"), (2, "length")]


def test_a_data_set_without_a_parser_is_refused() -> None:
    with pytest.raises(IngestError, match="wifi, bikes"):
        parser_for("parrots", None)


@pytest.mark.parametrize("dataset", ["wifi", "bikes"])
def test_each_parser_rejects_arbitrary_bytes(dataset: str) -> None:
    parsed = parser_for(dataset, None)([b"", b"\xff", b"[]", b"\n\n", b'{"', bytes(100)])
    assert parsed.table.num_rows == 0
    assert [reject.position for reject in parsed.rejects] == list(range(6))


@pytest.mark.parametrize("dataset", ["wifi", "bikes"])
def test_the_framing_of_a_schema_registry_is_named(dataset: str) -> None:
    [reject] = parser_for(dataset, None)([b"\x00\x00\x00\x00\x07{}"]).rejects
    assert reject.reason == (
        "expected a plain record, got one framed for a schema registry (a zero byte and the schema's id)"
    )
