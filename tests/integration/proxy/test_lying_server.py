"""Every change of the storage server to an answer is detected, and nothing else is refused."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass

from privacyplease.proxy.assembly.contracts import CONTRACTS
from tests.services.deception import deception
from tests.services.lying_server import LIES, lying
from tests.services.proxy import interval, proxying
from tests.services.storage import Served

SEED = 20_241_001


@pytest.mark.parametrize("concurrently", [False, True], ids=["at rest", "while records come in"])
def test_every_false_answer_is_detected_and_no_honest_answer_is_refused(tmp_path: Path, concurrently: bool) -> None:
    with deception(tmp_path, SEED + concurrently) as deceived:
        if concurrently:
            with deceived.ingesting():
                outcome = deceived.ask(lies=150, honest=150)
        else:
            outcome = deceived.ask(lies=150, honest=150)
    shown = json.dumps(
        {f"{lie}: {reason}": times for (lie, reason), times in sorted(outcome.detected.items())}, indent=1
    )
    assert (outcome.missed, outcome.alarms) == ([], []), shown
    assert outcome.detected.total() == 150
    assert outcome.honest >= 150  # more where an answer could not be falsified
    assert {lie for lie, _ in outcome.detected} == set(LIES)


START, HOUR = 1_727_769_600_000, 3_600_000
WHEN = {"interval": interval(START, START + HOUR)}
STEP = {"step": Duration(seconds=600)}
# Every rpc that asks the storage server for cells, and a question of it.
QUESTIONS: dict[str, dict[str, Any]] = {
    "ExplainService.Explain": WHEN,
    "PresenceService.FindSessions": {"device": "00:00:00:00:00:01", "purpose": "test", **WHEN},
    "OccupancyService.Count": WHEN,
    "OccupancyService.CountByPlace": WHEN,
    "OccupancyService.Dwell": WHEN,
    "OccupancyService.ListPlaces": WHEN,
    "OccupancyService.Series": WHEN | STEP,
    "OccupancyService.Peak": WHEN | STEP,
    "QueryService.Query": {"dataset": "wifi", "purpose": "test", **WHEN},
    "StationsService.ListHistory": {"station": "lund/1", **WHEN},
    "StationsService.ListLatest": {"contract": "lund"},
    "StationsService.Availability": {"contract": "lund", **WHEN, **STEP},
}
WITHOUT_CELLS = {"AdminService.GetStatus", "QueryService.ListDatasets", "IngestService.Ingest"}
WITHOUT_CELLS |= {
    "AccessService.WhoAmI",
    "ApprovalService.Decide",
    "ApprovalService.ListApprovals",
    "AuditService.ListEntries",
    "AuditService.VerifyLog",
    "DeadLetterService.Seal",
    "DeadLetterService.Open",
}
WITHOUT_CELLS |= {"KeysService.ListKeys", "KeysService.RotateMaster", "KeysService.DestroyEpochs"}
WITHOUT_CELLS |= {"KeysService.ExportKeyring", "KeysService.RotateEpoch"}
WITHOUT_CELLS |= {"CompactionService.Compact"}  # reports jobs as they are done
REPORTS = {"VerificationService.Verify"}  # it reports what is wrong with cells, not their content
METHODS = {
    f"{service.name}.{method.name}": method
    for contract in CONTRACTS
    for service in contract.services_by_name.values()
    for method in service.methods
}
SESSION = {"client_mac": "00:00:00:00:00:01", "ap_name": "ap-1", "session_duration": "60"}
SESSION |= {"association_time": "2024-10-01T08:00:00Z"}
STATE = {"station": "lund/1", "contract": "lund", "contract_name": "Lund", "number": "1"}
STATE |= {"state_from": "2024-10-01T08:00:00Z", "observed_for": "60"}


def test_every_rpc_has_a_question() -> None:
    assert set(METHODS) == set(QUESTIONS) | WITHOUT_CELLS | REPORTS


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_message_leaves_the_proxy_before_the_last_cell_is_verified(
    name: str, tmp_path: Path, storage: Served
) -> None:
    method = METHODS[name]
    request = GetMessageClass(method.input_type)(**QUESTIONS[name]).SerializeToString()
    home = tmp_path / "home"
    with lying(storage.stub, Random(SEED)) as liar, proxying(home, liar.address, cache_bytes=0) as proxy:
        for _ in range(20):  # as many segments, so that pages come before the one that is cut off
            accepted = [proxy.ingest("wifi", [SESSION])[0].accepted, proxy.ingest("bikes", [STATE])[0].accepted]
            assert accepted == [1, 1]
        liar.acknowledge()
        ask = proxy.channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}", None, None)
        assert len(list(ask(iter([request])))) == 1
        received: list[bytes] = []
        liar.lie = "truncate"
        with pytest.raises(grpc.RpcError) as raised:
            received.extend(ask(iter([request])))
        assert (liar.lied, received, raised.value.code()) == (True, [], grpc.StatusCode.DATA_LOSS)
