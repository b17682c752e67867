from __future__ import annotations

from unittest import mock

import grpc
import pytest
from google.rpc import error_details_pb2

from privacyplease.server.cells import Cell
from privacyplease.server.errors import PredicateTooLargeError, RefusedError
from privacyplease.server.status import fail, status_of
from privacyplease.storage.v1 import error_reason_pb2 as reasons


def test_every_reason_of_the_contract_has_exactly_one_error() -> None:
    known = [error.reason for error in RefusedError.__subclasses__()]
    assert sorted(known) == sorted(set(reasons.ErrorReason.values()) - {reasons.ERROR_REASON_UNSPECIFIED})


def test_a_status_carries_reason_numbers_and_field() -> None:
    status = status_of(PredicateTooLargeError("tags", tags=70_000, limit=65_536))
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("ERROR_REASON_PREDICATE_TOO_LARGE", "storage.privacyplease")
    assert dict(info.metadata) == {"tags": "70000", "limit": "65536"}
    bad = error_details_pb2.BadRequest()
    status.details[1].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == ["tags"]


@pytest.mark.parametrize("shown", [repr, str, "{!r}".format])
def test_a_cell_shows_none_of_its_bytes(shown: object) -> None:
    assert shown(Cell(b"t" * 16, b"sealed")) == "Cell(6 sealed bytes)"  # type: ignore[operator]


def test_too_little_memory_is_refused_in_words_and_may_be_tried_again() -> None:
    context = mock.Mock(grpc.ServicerContext)
    context.abort_with_status.side_effect = RuntimeError
    with pytest.raises(RuntimeError):
        fail(MemoryError(), context)
    (sent,) = context.abort_with_status.call_args.args
    assert sent.code is grpc.StatusCode.UNAVAILABLE
    assert sent.details == "expected memory for the call, got none"
