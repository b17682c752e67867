from privacyplease.ingest import broker, feeds, producer, replay, stream_errors, stream_form


def test_the_surface_is_what_was_agreed() -> None:
    assert feeds.__all__ == ["ApiKey", "Gbfs", "JCDecaux", "Snapshot", "Station", "Web", "poll"]
    assert producer.__all__ == ["Producer"]
    assert replay.__all__ == ["Replay", "speed_of"]
    assert stream_form.__all__ == ["Messages", "render"]
    assert broker.__all__ == ["Settings", "require_retention", "require_topic", "settings"]
    errors = ["BrokerError", "DeliveryError", "FeedError", "FeedRefusedError", "SettingsError"]
    assert stream_errors.__all__ == errors
