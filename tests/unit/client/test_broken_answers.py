"""An answer that breaks the contract raises `FaultError`, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from privacyplease.client import Client, errors
from privacyplease.client._internal.messages import answers, approvals, keys, system, verification
from privacyplease.proxy.v1 import (
    access_service_pb2,
    admin_service_pb2,
    approval_service_pb2,
    audit_service_pb2,
    keys_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    stations_service_pb2,
    verification_service_pb2,
)

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
STEP = timedelta(minutes=15)
BEYOND = Timestamp(seconds=1 << 50)
FOR_EVER = Duration(seconds=1 << 60)
BEYOND_MS = 1 << 60


def _sessions(**columns: Any) -> presence_service_pb2.FindSessionsResponse:
    return presence_service_pb2.FindSessionsResponse(sessions=presence_service_pb2.Sessions(**columns))


def _states(**columns: Any) -> stations_service_pb2.ListLatestResponse:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, (batch := pa.record_batch(columns)).schema) as writer:
        writer.write_batch(batch)
    return stations_service_pb2.ListLatestResponse(arrow=sink.getvalue().to_pybytes())


READINGS: dict[str, Callable[[], object]] = {
    "no page": lambda: answers.presence([]),
    "a session beyond the year 9999": lambda: answers.presence(
        [_sessions(places=["a"], starts_unix_ms=[0], ends_unix_ms=[BEYOND_MS])]
    ),
    "columns of two lengths": lambda: answers.presence([_sessions(places=["a", "b"], starts_unix_ms=[0])]),
    "a series beyond the year 9999": lambda: answers.occupancy(
        [occupancy_service_pb2.SeriesResponse(start_unix_ms=253_402_300_799_999, distinct_devices=[1] * 3)], STEP
    ),
    "statistics of two lengths": lambda: answers.availability(
        [stations_service_pb2.AvailabilityResponse(bikes=stations_service_pb2.Statistics(means=[1.0]))], STEP
    ),
    "infinitely many bikes": lambda: answers.availability(
        [
            stations_service_pb2.AvailabilityResponse(
                bikes=stations_service_pb2.Statistics(means=[1], minima=[float("inf")], maxima=[1]),
                stands=stations_service_pb2.Statistics(means=[1], minima=[1], maxima=[1]),
            )
        ],
        STEP,
    ),
    "a median of eons": lambda: answers.dwell(occupancy_service_pb2.DwellResponse(median=FOR_EVER), (STEP,)),
    "an interval of eons": lambda: answers.access(access_service_pb2.WhoAmIResponse(longest_interval=FOR_EVER)),
    "an entry beyond the year 9999": lambda: answers.audit_entries(
        [audit_service_pb2.ListEntriesResponse(entries=[audit_service_pb2.AuditEntry(at=BEYOND)])]
    ),
    "a state of no approval": lambda: approvals.approval(approval_service_pb2.Approval(state=77)),  # type: ignore[arg-type]
    "an unspecified approval": lambda: approvals.approval(approval_service_pb2.Approval()),
    "a state of no epoch": lambda: keys.renewed(keys_service_pb2.RotateEpochResponse()),
    "a policy beyond the year 9999": lambda: system.status(
        admin_service_pb2.GetStatusResponse(policy=admin_service_pb2.Policy(loaded_at=BEYOND))
    ),
    "a finding beyond the year 9999": lambda: verification.VerificationReader(None).read(
        verification_service_pb2.VerifyResponse(
            finding=verification_service_pb2.VerificationFinding(first_start=BEYOND)
        )
    ),
    "a station of another type": lambda: list(answers.station_states([_states(latitude=["north"])])),
    "a station beyond the year 9999": lambda: list(
        answers.station_states([_states(state_from=pa.array([BEYOND_MS], pa.timestamp("ms", "UTC")))])
    ),
    "stations that are no Arrow stream": lambda: answers.station_states(
        [stations_service_pb2.ListLatestResponse(arrow=b"no")]
    ),
}


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_an_answer_that_breaks_the_contract_is_a_fault(reading: Callable[[], object]) -> None:
    with pytest.raises(errors.FaultError):
        reading()


def test_a_broken_answer_is_a_fault_to_a_client(proxy: Any, client: Client) -> None:
    page = _sessions(places=["a"], starts_unix_ms=[BEYOND_MS], ends_unix_ms=[BEYOND_MS])
    proxy.on("FindSessions", lambda request, context: iter([page]))
    with pytest.raises(errors.FaultError, match="expected an answer as the contract defines it"):
        client.presence("aa:bb:cc:dd:ee:ff", *DAY)


@pytest.mark.parametrize("delay", [FOR_EVER, Duration(seconds=-1)], ids=["eons", "negative"])
def test_a_time_to_wait_that_no_timedelta_holds_is_no_error_of_its_own(
    delay: Duration, proxy: Any, client: Client, scripts: Any
) -> None:
    reason, retry = scripts.reason("ERROR_REASON_OVERLOADED"), error_details_pb2.RetryInfo(retry_delay=delay)
    proxy.on("Count", scripts.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "later", reason, retry))
    with pytest.raises(errors.OverloadedError):
        client.count(*DAY)
