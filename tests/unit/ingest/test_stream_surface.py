from privacyplease.ingest import (
    broker,
    consumer,
    dead_letters,
    feeds,
    parsed,
    producer,
    replay,
    stream_errors,
    stream_form,
)


def test_the_surface_is_what_was_agreed() -> None:
    assert feeds.__all__ == ["ApiKey", "Gbfs", "JCDecaux", "Snapshot", "Station", "Web", "poll"]
    assert producer.__all__ == ["Producer"]
    assert replay.__all__ == ["Replay", "speed_of"]
    assert stream_form.__all__ == ["Messages", "render"]
    assert broker.__all__ == ["Settings", "require_retention", "require_topic", "settings"]
    assert consumer.__all__ == ["Consumption", "Task"]
    assert dead_letters.__all__ == ["Letter", "Mailbox", "Origin", "Post", "Redriven", "dead_letter_topic", "redrive"]
    assert parsed.__all__ == ["Misfit", "Parsed"]
    errors = ["BrokerError", "DeliveryError", "FeedError", "FeedRefusedError", "SettingsError"]
    assert stream_errors.__all__ == errors
