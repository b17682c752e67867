from privacyplease.ingest import bikes, errors, rejects, simulate, wifi


def test_the_surface_is_what_was_agreed() -> None:
    assert wifi.__all__ == ["SCHEMA", "Block", "Log", "read", "write", "zone_named"]
    assert bikes.__all__ == ["SCHEMA", "parse"]
    assert simulate.__all__ == ["simulate"]
    assert rejects.__all__ == ["Reject", "RejectFile"]
    assert errors.__all__ == ["IngestError", "LayoutError", "RejectFileError", "SourceError", "ZoneError"]
