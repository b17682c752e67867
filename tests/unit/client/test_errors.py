import pickle
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from privacyplease.client import Client, PrivacyPleaseError, errors
from privacyplease.client._internal.statuses import BY_REASON
from privacyplease.proxy.v1.error_reason_pb2 import ErrorReason

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
REASONS = sorted(set(ErrorReason.values()) - {ErrorReason.ERROR_REASON_UNSPECIFIED})
GROUPS = {errors.RequestError, errors.RefusedError, errors.TryAgainError, errors.FaultError, errors.TrustError}


def _subclasses(root: type) -> set[type]:
    return {root}.union(*map(_subclasses, root.__subclasses__()))


def test_every_reason_has_a_class_of_its_own() -> None:
    assert set(BY_REASON) == set(REASONS)
    assert len(set(BY_REASON.values())) == len(REASONS)


def test_every_class_is_in_one_group_and_drawn_in_the_tree() -> None:
    for error in _subclasses(PrivacyPleaseError) - {PrivacyPleaseError}:
        assert len(GROUPS & set(error.__mro__)) == 1
        assert f"── {error.__name__} " in str(errors.__doc__)


@pytest.mark.parametrize("number", REASONS, ids=ErrorReason.Name)
def test_a_reason_from_the_proxy_raises_its_class(
    number: ErrorReason.ValueType, proxy: Any, client: Client, scripts: Any
) -> None:
    name = ErrorReason.Name(number)
    proxy.on("Count", scripts.refuse(grpc.StatusCode.INTERNAL, "why", scripts.reason(name, field="device")))
    with pytest.raises(BY_REASON[number]) as raised:
        client.count(*DAY)
    assert raised.value.reason == name
    assert raised.value.message == str(raised.value) == "why"
    assert raised.value.metadata == {"field": "device"}


def test_field_violations_are_carried_over(proxy: Any, client: Client, scripts: Any) -> None:
    details = scripts.reason("ERROR_REASON_INVALID_REQUEST"), scripts.violation("step", "expected at least 1 ms")
    proxy.on("Count", scripts.refuse(grpc.StatusCode.INVALID_ARGUMENT, "bad", *details))
    with pytest.raises(errors.InvalidRequestError) as raised:
        client.count(*DAY)
    assert raised.value.violations == (errors.FieldViolation("step", "expected at least 1 ms"),)


@pytest.mark.parametrize(
    ("code", "group"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, errors.RequestError),
        (grpc.StatusCode.UNAVAILABLE, errors.TryAgainError),
        (grpc.StatusCode.DATA_LOSS, errors.TrustError),
        (grpc.StatusCode.INTERNAL, errors.FaultError),
    ],
)
def test_a_reason_still_to_be_invented_raises_the_group_of_its_status(
    code: grpc.StatusCode, group: type[Exception], proxy: Any, client: Client, scripts: Any
) -> None:
    proxy.on("Count", scripts.refuse(code, "new", scripts.reason("ERROR_REASON_OF_THE_FUTURE")))
    with pytest.raises(group) as raised:
        client.count(*DAY)
    assert type(raised.value) is group


def test_a_foreign_domain_is_no_reason(proxy: Any, client: Client, scripts: Any) -> None:
    foreign = scripts.reason("ERROR_REASON_CELL_DAMAGED")
    foreign.domain = "somewhere.else"
    proxy.on("Count", scripts.refuse(grpc.StatusCode.INTERNAL, "why", foreign))
    with pytest.raises(errors.FaultError):
        client.count(*DAY)


def test_no_proxy_at_the_address_is_unreachable(scripts: Any) -> None:
    server, port = scripts.serve(scripts.proxy())
    server.stop(None).wait()
    with Client(f"127.0.0.1:{port}", insecure=True, timeout=5) as client, pytest.raises(errors.ProxyUnreachableError):
        client.count(*DAY)


def test_no_answer_in_time_is_a_deadline(proxy: Any, scripts: Any) -> None:
    proxy.on("Count", scripts.refuse(grpc.StatusCode.DEADLINE_EXCEEDED))
    with Client(proxy.address, insecure=True, timeout=0.2) as client, pytest.raises(errors.DeadlineExceededError):
        client.count(*DAY)


def test_errors_travel_between_processes() -> None:
    error = errors.CellDamagedError("one cell", reason="ERROR_REASON_CELL_DAMAGED", metadata={"cells": "1"})
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.message, copy.reason, copy.metadata) == (
        errors.CellDamagedError,
        error.message,
        error.reason,
        error.metadata,
    )
