"""A status carries what a caller needs, and fits into the trailers of a call."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2

from privacyplease.transport.status import build


def test_a_status_carries_reason_fields_and_retry_delay() -> None:
    status = build(
        ValueError("expected 1, got 2"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "SOME_REASON",
        "test",
        metadata={"limit": 1},
        violations=[("field", "expected 1, got 2")],
        retry_seconds=0.5,
    )
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    assert [status.details[n].Unpack(detail) for n, detail in enumerate((info, bad, retry))] == [True] * 3
    assert (status.code, status.message) == (3, "expected 1, got 2")
    assert (info.reason, info.domain, dict(info.metadata)) == ("SOME_REASON", "test", {"limit": "1"})
    assert [(v.field, v.description) for v in bad.field_violations] == [("field", "expected 1, got 2")]
    assert retry.retry_delay.ToMilliseconds() == 500


def test_a_plain_status_has_only_its_reason() -> None:
    status = build(ValueError("no"), grpc.StatusCode.INTERNAL, "SOME_REASON", "test", metadata={})
    assert len(status.details) == 1


def test_long_texts_are_cut_between_characters() -> None:
    long = "\N{OGHAM SPACE MARK}" * 100_000
    status = build(
        ValueError(long), grpc.StatusCode.INTERNAL, "R", "test", metadata={"a": long}, violations=[("f", long)]
    )
    escaped = 3 * len(status.message.encode())
    assert escaped + 4 * status.ByteSize() // 3 < 8_192
    assert status.message == "\N{OGHAM SPACE MARK}" * 333
