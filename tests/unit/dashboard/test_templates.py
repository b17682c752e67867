"""The texts of the pages for administrators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import render_template

from privacyplease.client import Client, Count, ExplainedCell, Explanation, Finding, Verification
from privacyplease.client._internal.messages import system
from privacyplease.dashboard.app import create_app
from privacyplease.dashboard.ranges import ChosenRange
from privacyplease.dashboard.settings import DashboardSettings
from privacyplease.proxy.v1.admin_service_pb2 import Compaction, Disk, GetStatusResponse, Manifest

START = datetime(2024, 10, 1, tzinfo=UTC)


@pytest.fixture
def request_context() -> Iterator[None]:
    """A request without a login, in which templates can be rendered."""
    with Client("127.0.0.1:1", insecure=True) as client:
        app = create_app(client, DashboardSettings(passwords=None))
        with app.test_request_context("/server"):
            yield


def words(page: str) -> str:
    """The text of a page, without tags."""
    spaced = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    return re.sub(r" ([,.:;])", r"\1", spaced)


@pytest.mark.usefixtures("request_context")
def test_the_server_page_says_that_the_tags_depend_only_on_the_time_range() -> None:
    cell = ExplainedCell(b"t" * 16, b"c" * 64, 1_280, 9, 4, False)
    explanation = Explanation(1, (cell.tag,), 1, 1_280, (cell,), 9, 4, 3, Count(2), 0, 0, 0, 0)
    question = {"form": {}, "span": ChosenRange(START, START), "device": "", "place": ""}
    answer = {"explanation": explanation, "tags": explanation.first_tags, "cells": explanation.first_cells}
    page = words(render_template("server.html", **question, **answer))
    assert "The tags depend only on the time range" in page
    assert "opened 9 records and kept 4, 3 of them distinct" in page
    assert "1 cell of 1,280 bytes is stored under this tag" in page


@pytest.mark.usefixtures("request_context")
def test_the_system_page_shows_the_state_of_the_manifest() -> None:
    status = GetStatusResponse(
        manifest=Manifest(version=12, live_segments=3, retired_segments=2, outgrown_cells=4),
        compaction=Compaction(fresh_segments=1, fresh_records=500),
        disk=Disk(free_bytes=5 << 20, low=True, full=True),
    )
    finding = Finding("wifi", "core", START, START, 1, 0, 0)
    page = words(
        render_template(
            "system.html",
            status=system.status(status),
            now=START,
            refused=0,
            form={},
            verification=Verification(1, 1, (finding,)),
            most_findings=9,
        )
    )
    assert "in version 12 of the manifest; 2 retired, 0 unsettled" in page
    assert "1 fresh segment of 500 records; no round yet" in page
    assert "raise bytes_per_record" in page
    assert "none is configured" in page
    assert "wifi core" in page
    assert "The proxy's disk is full" in page
