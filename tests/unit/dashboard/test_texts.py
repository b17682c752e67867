"""What the pages for administrators say of the store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import render_template

from privacyplease.client import Client, Count, ExplainedCell, Explanation, Finding, Verification
from privacyplease.client._internal.messages import system
from privacyplease.dashboard.app import create_app
from privacyplease.dashboard.ranges import Range
from privacyplease.dashboard.settings import Settings
from privacyplease.proxy.v1.admin_service_pb2 import Compaction, GetStatusResponse, Manifest

START = datetime(2024, 10, 1, tzinfo=UTC)


@pytest.fixture
def asked() -> Iterator[None]:
    """Within a request of nobody."""
    with Client("127.0.0.1:1", insecure=True) as client:
        app = create_app(client, Settings(passwords=None))
        with app.test_request_context("/server"):
            yield


def words(page: str) -> str:
    """What is read of a page."""
    spaced = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    return re.sub(r" ([,.:;])", r"\1", spaced)


def test_the_server_sees_the_same_whoever_is_asked_about(asked: None) -> None:
    cell = ExplainedCell(b"t" * 16, b"c" * 64, 1_280, 9, 4, False)
    seen = Explanation(1, (cell.tag,), 1, 1_280, (cell,), 9, 4, 3, Count(2), 0, 0, 0, 0)
    told = {"seen": seen, "tags": seen.first_tags, "cells": seen.first_cells, "device": "", "place": ""}
    page = words(render_template("server.html", given={}, span=Range(START, START), **told))
    assert "follows from the time range alone" in page
    assert "opened 9 records and kept 4, 3 of them distinct" in page


def test_the_system_tells_what_the_manifest_knows(asked: None) -> None:
    status = GetStatusResponse(
        manifest=Manifest(version=12, live_segments=3, retired_segments=2, outgrown_cells=4),
        compaction=Compaction(fresh_segments=1, fresh_records=500),
    )
    finding = Finding("wifi", "core", START, START, 1, 0, 0)
    page = words(
        render_template(
            "system.html",
            status=system.status(status),
            now=START,
            refused=0,
            given={},
            verification=Verification(1, 1, (finding,)),
            most_findings=9,
        )
    )
    assert "by version 12 of the manifest; 2 retired, 0 unsettled" in page
    assert "1 fresh segment of 500 records; no round yet" in page
    assert "raise bytes_per_record" in page
    assert "none is configured" in page
    assert "wifi core" in page
