"""Callers who hold many calls and send nothing: others are answered all the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from privacyplease.client import errors
from privacyplease.proxy.certificates.authority import Subject
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from tests.services.cells import refusal
from tests.services.certificates import channel_with
from tests.services.certified_proxy import CertifiedProxy, certified
from tests.services.idle_calls import unsent
from tests.services.polling import eventually

QUESTIONS = 16
DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
DEVICE = "02:00:00:00:00:01"
FIND = "/privacyplease.proxy.v1.PresenceService/FindSessions"
COUNT = "/privacyplease.proxy.v1.OccupancyService/Count"
INGEST = "/privacyplease.proxy.v1.IngestService/Ingest"

POLICY = """
approvals = "off"

[clients]
alice = { roles = ["count"] }
bob = { roles = ["count"] }
collector = { roles = ["ingest"] }
relay = { roles = ["ingest"] }
seldom = { roles = ["count"], calls_per_minute = 1 }
operator = { roles = ["admin", "audit"] }
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertifiedProxy]:
    # Idle calls stay open for the whole test: that their message never arrives must not be what ends them.
    folder = tmp_path_factory.mktemp("installation")
    with certified(folder, POLICY, questions=QUESTIONS, streams=4, message_seconds=60) as running:
        yield running


def answered_at_once(proxy: CertifiedProxy, name: str) -> bool:
    """Whether a question of that client is answered within a second."""
    with proxy.client(name) as client:
        client.whoami()  # connects
        began = time.monotonic()
        return client.count(*DAY) == 0 and time.monotonic() - began < 1


def outcomes(calls: list[Any]) -> Counter[tuple[grpc.StatusCode, str]]:
    """How many of the calls have ended with each code and reason."""
    ended = (refusal(call) for call in calls if call.done())
    return Counter((code, info.reason.removeprefix("ERROR_REASON_")) for code, info, _ in ended)


@pytest.mark.parametrize("number", [QUESTIONS, 4 * QUESTIONS])
def test_idle_calls_of_a_certificate_without_a_role_hold_no_slot(proxy: CertifiedProxy, number: int) -> None:
    with proxy.channel("mallory") as channel, unsent(channel, COUNT, number) as calls:
        assert answered_at_once(proxy, "bob")
        refused = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        assert eventually(lambda: outcomes(calls) == {refused: number}, 20)
        assert answered_at_once(proxy, "bob")


def test_idle_calls_of_one_identity_leave_half_of_the_slots_to_others(proxy: CertifiedProxy) -> None:
    with proxy.channel("alice") as channel, unsent(channel, COUNT, 4 * QUESTIONS) as calls:
        overloaded = (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert eventually(lambda: outcomes(calls) == {overloaded: 4 * QUESTIONS - QUESTIONS // 2}, 20)
        assert answered_at_once(proxy, "bob")
        with proxy.client("alice") as client, pytest.raises(errors.OverloadedError, match="by this caller") as raised:
            client.count(*DAY)
        assert raised.value.metadata["limit"] == str(QUESTIONS // 2)
    assert eventually(lambda: answered_at_once(proxy, "alice"), 10)  # its slots are free again


def test_idle_streams_of_one_identity_leave_half_of_the_slots_to_others(proxy: CertifiedProxy) -> None:
    with proxy.channel("collector") as channel, unsent(channel, INGEST, 40) as calls:
        overloaded = (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert eventually(lambda: outcomes(calls) == {overloaded: 38}, 20)
        with proxy.channel("relay") as other:
            stream = IngestServiceStub(other).Ingest(
                iter([IngestRequest(dataset="wifi", sequence=7, json_lines="")]), timeout=10
            )
            assert [each.sequence for each in stream] == [7]


def test_a_call_beyond_the_rate_holds_no_slot(proxy: CertifiedProxy) -> None:
    with proxy.channel("seldom") as channel, unsent(channel, COUNT, QUESTIONS) as calls:
        limited = (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert eventually(lambda: outcomes(calls) == {limited: QUESTIONS - 1}, 20)
        assert answered_at_once(proxy, "bob")


def test_a_refused_call_is_recorded_with_what_it_asked_if_it_said_so(proxy: CertifiedProxy) -> None:
    with proxy.client("mallory") as mallory, pytest.raises(errors.PermissionDeniedError):
        mallory.presence(DEVICE, *DAY, purpose="curiosity")
    with proxy.channel("mallory") as channel, unsent(channel, FIND, 1) as calls:
        assert eventually(calls[0].done, 10)
    with proxy.client("operator") as operator:
        entries = [each for each in operator.audit_entries() if each.who == "mallory" and "FindSessions" in each.rpc]
    told = [(each.event, each.reason, each.dataset, each.purpose, each.start) for each in entries]
    refused = "refused", "PERMISSION_DENIED"
    assert told == [(*refused, "wifi", "curiosity", DAY[0]), (*refused, "", "", None)]
    assert [bool(each.subject) for each in entries] == [True, False]


def test_the_storage_server_gives_no_slot_to_another_identity(proxy: CertifiedProxy) -> None:
    folder = proxy.made.forged("other", Subject("other", "client", ("other.local",)), hop="storage")
    path = "/privacyplease.storage.v1.StorageService/Select"
    with channel_with(proxy.storage, folder) as channel, unsent(channel, path, 64) as calls:
        assert answered_at_once(proxy, "bob")
        refused = (grpc.StatusCode.UNAUTHENTICATED, "UNKNOWN_IDENTITY")
        assert eventually(lambda: outcomes(calls) == {refused: 64}, 20)
