from datetime import UTC, datetime, timedelta

import pytest

from privacyplease.cli.commands.audit import as_document, line, show_verdict
from privacyplease.client import AuditEntry

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)


def test_refusals_that_were_counted_show_their_number_and_times() -> None:
    entry = AuditEntry(
        number=4,
        at=AT,
        event="refused",
        who="mallory",
        on_behalf_of="",
        rpc="QueryService/Query",
        call="",
        dataset="",
        subject="",
        start=None,
        end=None,
        purpose="",
        reason="PERMISSION_DENIED",
        records=None,
        bytes=None,
        count=4_997,
        first=AT - timedelta(seconds=50),
        last=AT - timedelta(seconds=1),
    )
    shown = line(entry, UTC)
    assert "reason PERMISSION_DENIED  times 4,997  first 2026-10-01T07:59:10Z  last 2026-10-01T07:59:59Z" in shown
    document = as_document(entry)
    assert (document["count"], document["first"]) == (4_997, "2026-10-01T07:59:10Z")


def test_a_verdict_says_from_which_line_on_the_log_was_verified(capsys: pytest.CaptureFixture[str]) -> None:
    for first, words in ((1, "60 lines: none"), (1_001, "60 lines from line 1,001 on, with no file from before: none")):
        show_verdict({"lines": 60, "first": first, "remembered": 1_060, "findings": []})
        assert words in capsys.readouterr().out
