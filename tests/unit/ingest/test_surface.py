from privacyplease.ingest import bikes, errors, feeds, log_upload, message_upload, parsing, reject_file, simulate, wifi
from privacyplease.ingest.kafka import broker, consumer, dead_letters, producer, replay, session_messages


def test_each_module_exports_only_its_public_names() -> None:
    assert wifi.__all__ == ["SCHEMA", "Block", "SessionLog", "read", "write", "zone_named"]
    assert bikes.__all__ == ["SCHEMA", "parse"]
    assert simulate.__all__ == ["simulate"]
    assert parsing.__all__ == ["ParsedMessages", "RejectedLine", "RejectedMessage"]
    assert reject_file.__all__ == ["RejectFile"]
    assert log_upload.__all__ == ["LogUpload"]
    assert message_upload.__all__ == ["MessageUpload"]
    assert feeds.__all__ == ["ApiKey", "Gbfs", "JCDecaux", "JsonClient", "SecretHeaders", "Snapshot", "Station", "poll"]


def test_each_kafka_module_exports_only_its_public_names() -> None:
    assert broker.__all__ == ["Settings", "no_response", "require_retention", "require_topic", "settings"]
    assert producer.__all__ == ["Producer"]
    assert replay.__all__ == ["Replay", "parse_speed"]
    assert session_messages.__all__ == ["SessionMessages", "render"]
    assert consumer.__all__ == ["ConsumerOptions", "ConsumerRun"]
    assert dead_letters.__all__ == [
        "DeadLetter",
        "DeadLetterReader",
        "DeadLetterWriter",
        "Origin",
        "RedriveSummary",
        "UnsealedLetter",
        "dead_letter_topic",
        "redrive",
    ]


def test_the_error_tree_has_only_these_errors() -> None:
    assert errors.__all__ == [
        "BadRecordsError",
        "BrokerError",
        "DeliveryError",
        "FeedError",
        "FeedRefusedError",
        "IngestError",
        "LayoutError",
        "RejectFileError",
        "SettingsError",
        "SourceError",
        "SparkError",
        "ZoneError",
    ]
