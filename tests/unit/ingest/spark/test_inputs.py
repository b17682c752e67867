"""Which DataFrames are accepted, by the columns that they have."""

from __future__ import annotations

import dataclasses

import pytest

from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.spark import kafka_messages, log_files
from privacyplease.ingest.spark.inputs import reader_for, require_readable
from privacyplease.ingest.spark.kafka_messages import KafkaMessages
from privacyplease.ingest.spark.log_files import LogFiles
from privacyplease.ingest.spark.options import BadRecords, DurationUnit, SinkOptions
from privacyplease.ingest.spark.record_rows import RecordRows
from tests.unit.ingest.spark.definitions import WIFI

OPTIONS = SinkOptions("proxy:50051", "wifi", "/certificates")
RECORDS = {
    "client_mac": "string",
    "ap_name": "string",
    "association_time": "timestamp",
    "session_duration": "interval day to second",
}


@pytest.mark.parametrize(
    ("types", "reader"),
    [
        (kafka_messages.COLUMNS, KafkaMessages),
        ({"value": "binary"}, KafkaMessages),
        (log_files.COLUMNS, LogFiles),
        (RECORDS, RecordRows),
        ({**RECORDS, "visits": "bigint", "signal": "double", "guest": "boolean", "vlan_id": "int"}, RecordRows),
    ],
)
def test_columns_tell_what_rows_are(types: dict[str, str], reader: type) -> None:
    require_readable(types, WIFI, OPTIONS)
    assert isinstance(reader_for(types, WIFI, OPTIONS), reader)


@pytest.mark.parametrize("given", ["bigint", "int", "smallint", "double"])
def test_a_number_as_a_duration_needs_a_unit(given: str) -> None:
    types = {**RECORDS, "session_duration": given}
    with pytest.raises(IngestError, match=f"durationUnit for 'session_duration', which is {given}"):
        require_readable(types, WIFI, OPTIONS)
    require_readable(types, WIFI, dataclasses.replace(OPTIONS, duration_unit=DurationUnit.MILLISECONDS))


def test_a_time_without_a_zone_needs_a_time_zone() -> None:
    types = {**RECORDS, "association_time": "timestamp_ntz"}
    with pytest.raises(IngestError, match="option timezone for 'association_time'"):
        require_readable(types, WIFI, OPTIONS)
    require_readable(types, WIFI, dataclasses.replace(OPTIONS, timezone="Europe/Vienna"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"session_duration": None}, "got no 'session_duration'"),
        ({"floor": "string"}, "expected columns of 'wifi', got 'floor'"),
        ({"Client_MAC": "string"}, "got 'Client_MAC'"),
        (
            {"association_time": "date"},
            "'association_time' to be of the type string, timestamp, timestamp_ntz; got date",
        ),
        ({"association_time": "bigint"}, "got bigint: cast it"),
        ({"session_duration": "interval month"}, "got interval month"),
        ({"session_duration": "decimal(18,3)"}, r"got decimal\(18,3\)"),
        ({"device_name": "array<string>"}, "got array<string>"),
        ({"device_name": "binary"}, "got binary"),
        ({"vlan_id": "double"}, "got double"),
        ({"guest": "int"}, "got int"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(changes: dict[str, str | None], message: str) -> None:
    types = {name: kind for name, kind in {**RECORDS, **changes}.items() if kind is not None}
    with pytest.raises(IngestError, match=message):
        require_readable(types, WIFI, OPTIONS)


def test_dead_letters_of_rows_that_are_from_no_topic_need_one() -> None:
    options = dataclasses.replace(OPTIONS, bad_records=BadRecords.DEAD_LETTER, dead_letter_bootstrap="kafka:9092")
    require_readable(kafka_messages.COLUMNS, WIFI, options)
    for types in ({"value": "binary"}, log_files.COLUMNS, RECORDS):
        with pytest.raises(IngestError, match=r"expected the option deadLetter\.topic"):
            require_readable(types, WIFI, options)
        require_readable(types, WIFI, dataclasses.replace(options, dead_letter_topic="wifi"))


def test_a_data_set_needs_a_parser_for_messages_and_for_logs() -> None:
    parking = dataclasses.replace(WIFI, name="parking")
    with pytest.raises(IngestError, match="expected a data set that has a message parser"):
        require_readable(kafka_messages.COLUMNS, parking, OPTIONS)
    with pytest.raises(IngestError, match="expected the data set 'wifi' for log files, got 'parking'"):
        require_readable(log_files.COLUMNS, parking, OPTIONS)
    require_readable(RECORDS, parking, OPTIONS)


def test_columns_that_would_be_dropped_are_refused() -> None:
    with pytest.raises(IngestError, match=r"expected columns of Spark's Kafka source .* got 'building'"):
        require_readable({**kafka_messages.COLUMNS, "building": "string"}, WIFI, OPTIONS)
