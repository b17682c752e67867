"""Failures as the client sees them: a status with a reason, and no internals."""

from __future__ import annotations

import inspect
import logging
from unittest import mock

import grpc
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2

from privacyplease.proxy import errors
from privacyplease.proxy.edge import rpc
from privacyplease.proxy.errors import ConfigurationError, PredicateTooLargeError, ProxyError, UnknownDatasetError
from privacyplease.proxy.v1 import error_reason_pb2 as reasons

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, ProxyError)]


class AbortedError(Exception):
    """The exception that gRPC's own context raises."""


def context(*, active: bool = True) -> mock.Mock:
    made = mock.Mock(grpc.ServicerContext)
    made.is_active.return_value = active
    made.abort_with_status.side_effect = AbortedError
    return made


def failing(error: Exception, *, active: bool = True) -> mock.Mock:
    """Makes an rpc fail, and returns the context that it failed on."""

    def method(_service: None, _request: None, _context: grpc.ServicerContext) -> None:
        raise error

    seen = context(active=active)
    with pytest.raises(AbortedError):
        rpc.answering(method)(None, None, seen)
    return seen


def test_every_reason_of_the_contract_has_an_error() -> None:
    raised = {error.reason for error in CLASSES}
    assert raised == set(reasons.ErrorReason.values()) - {reasons.ERROR_REASON_UNSPECIFIED}


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = errors.__doc__ or ""
    assert all(error.__name__ in drawn for error in [*CLASSES, ConfigurationError])


def test_each_status_is_the_one_that_the_contract_names() -> None:
    assert UnknownDatasetError.status is grpc.StatusCode.NOT_FOUND
    assert errors.CellDamagedError.status is grpc.StatusCode.DATA_LOSS
    away = errors.MasterKeyUnavailableError
    assert away.status is grpc.StatusCode.UNAVAILABLE
    assert {error.status for error in CLASSES if issubclass(error, errors.KeyringError) and error is not away} == {
        grpc.StatusCode.FAILED_PRECONDITION
    }


def test_a_status_carries_reason_field_and_metadata() -> None:
    made = rpc.status(PredicateTooLargeError("too much", field="interval", tags=3, limit=2))
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert [made.details[0].Unpack(info), made.details[1].Unpack(bad)] == [True, True]
    assert (made.code, made.message) == (3, "too much")
    assert (info.reason, info.domain) == ("ERROR_REASON_PREDICATE_TOO_LARGE", "proxy.privacyplease")
    assert dict(info.metadata) == {"field": "interval", "tags": "3", "limit": "2"}
    assert [(v.field, v.description) for v in bad.field_violations] == [("interval", "too much")]


def test_whoever_finds_the_storage_server_away_is_told_when_to_come_back() -> None:
    made, retry = rpc.status(errors.StorageUnavailableError("away")), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in made.details)
    assert retry.retry_delay.seconds == 1


def test_a_status_fits_in_the_trailers_whatever_the_message() -> None:
    long = "\N{OGHAM SPACE MARK}" * 100_000
    made = rpc.status(PredicateTooLargeError(long, field="interval", known=long))
    escaped = 3 * len(made.message.encode())
    assert escaped + 4 * made.ByteSize() // 3 < 8_192


@pytest.mark.parametrize("active", [True, False], ids=["client waits", "client left"])
def test_an_unexpected_fault_tells_nobody_what_it_was_about(
    active: bool, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        seen = failing(ValueError("aa:bb:cc:dd:ee:ff was at the north door"), active=active)
    (status,), _ = seen.abort_with_status.call_args
    (record,) = caplog.records
    assert isinstance(record.args, tuple)
    fault = str(record.args[0])
    assert (status.code, status.details) == (
        grpc.StatusCode.INTERNAL,
        "internal fault; the proxy's log has the details",
    )
    assert fault.encode() in b"".join(value for _, value in status.trailing_metadata)
    for told in (str(status), caplog.text):
        assert "north door" not in told
        assert "aa:bb" not in told
    assert "ValueError" in caplog.text
    assert "test_rpc.py" in caplog.text


def test_a_client_that_leaves_while_it_sends_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    def method(_service: None, _request: None, _context: grpc.ServicerContext) -> None:
        raise left

    left = grpc.RpcError()
    with pytest.raises(grpc.RpcError) as raised:
        rpc.answering(method)(None, None, context(active=False))
    assert raised.value is left
    assert caplog.records == []


def test_too_little_memory_is_refused_in_words_and_may_be_tried_again() -> None:
    seen = failing(pa.ArrowMemoryError("malloc of size 64 failed"))
    (sent,) = seen.abort_with_status.call_args.args
    assert sent.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert sent.details == "expected memory for the call, got none; what was acknowledged is stored"
