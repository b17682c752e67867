from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from privacyplease.ingest.kafka.consumer.parsers import parser_for
from privacyplease.ingest.kafka.dead_letters import Origin
from privacyplease.ingest.parsing import RejectedMessage
from privacyplease.ingest.spark.kafka_messages import KafkaMessages

GOOD = b"\t02:fb:ae:12:7e:8d\t2024-10-01T00:00:00Z\t\tap-14\t\t\t\t\t\t\t60\t\t"
ROWS: dict[str, Any] = {
    "value": [b"", GOOD, None, GOOD],
    "key": [b"k0", b"k1", None, b"k3"],
    "topic": ["wifi"] * 4,
    "partition": pa.array([2] * 4, pa.int32()),
    "offset": [7, 8, 9, 10],
    "timestamp": pa.array([datetime(2024, 10, 1, tzinfo=UTC)] * 4, pa.timestamp("us", "UTC")),
}


def test_each_row_is_parsed_or_rejected_by_its_position() -> None:
    (batch,) = KafkaMessages(parser_for("wifi", None), "")(pa.record_batch(ROWS))
    assert batch.parsed.rows.tolist() == [1, 3]
    assert [each.position for each in batch.parsed.rejects] == [0, 2]


def test_a_letter_has_the_message_with_its_key_and_says_where_it_is() -> None:
    (batch,) = KafkaMessages(parser_for("wifi", None), "")(pa.record_batch(ROWS))
    letter = batch.letter(RejectedMessage(3, "client_mac", "expected a MAC address"))
    assert (letter.message, letter.key) == (GOOD, b"k3")
    assert letter.origin == Origin("wifi", 2, 10, 1_727_740_800_000)
    assert batch.letter(RejectedMessage(2, "record", "empty")).key is None


def test_a_row_with_only_a_value_is_of_the_topic_that_is_named() -> None:
    (batch,) = KafkaMessages(parser_for("wifi", None), "elsewhere")(pa.record_batch({"value": [b"bad"]}))
    letter = batch.letter(batch.parsed.rejects[0])
    assert letter.origin == Origin("elsewhere", 0, 0, -1)
    assert (letter.message, letter.key) == (b"bad", None)
