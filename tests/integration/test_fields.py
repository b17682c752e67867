"""Every field of every request, of both contracts: nonsense in it is refused by its name, and is not told back.

The fields are those of the contracts, so a new one that nothing checks fails here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.access.approvals import LABEL, Approvals
from privacyplease.proxy.assembly.contracts import CONTRACTS
from privacyplease.proxy.audit.reader import KEY, OWNER
from privacyplease.proxy.errors import ApprovalRequiredError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store.store import open_store
from privacyplease.proxy.v1 import (
    access_service_pb2,
    admin_service_pb2,
    approval_service_pb2,
    audit_service_pb2,
    compaction_service_pb2,
    dead_letter_service_pb2,
    explain_service_pb2,
    keys_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
    stations_service_pb2,
    verification_service_pb2,
)
from privacyplease.storage.v1 import storage_service_pb2 as storage_pb2
from tests.services.cells import any_of, cell, refusal, tag
from tests.services.proxy import PASSPHRASE, arrow_batch, instant, interval, proxying
from tests.services.storage import serving

START = 1_727_769_600_000  # 2024-10-01T08:00:00Z
DAY = interval(START, START + 86_400_000)
STEP = Duration(seconds=3_600)
DEVICE = "aa:bb:cc:dd:ee:ff"
RECORD = {
    "client_mac": DEVICE,
    "ap_name": "north door",
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": "45",
}

# A request to each rpc that is answered.
GOOD: dict[str, Message] = {
    "AccessService/WhoAmI": access_service_pb2.WhoAmIRequest(),
    "AdminService/GetStatus": admin_service_pb2.GetStatusRequest(),
    "AuditService/ListEntries": audit_service_pb2.ListEntriesRequest(),
    "ApprovalService/Decide": approval_service_pb2.DecideRequest(number=1, grant=True),
    "ApprovalService/ListApprovals": approval_service_pb2.ListApprovalsRequest(),
    "AuditService/VerifyLog": audit_service_pb2.VerifyLogRequest(),
    "CompactionService/Compact": compaction_service_pb2.CompactRequest(dataset="wifi", interval=DAY),
    "DeadLetterService/Seal": dead_letter_service_pb2.SealRequest(dataset="wifi", payloads=[b"a"]),
    "DeadLetterService/Open": dead_letter_service_pb2.OpenRequest(dataset="wifi", letters=[b"a"]),
    "ExplainService/Explain": explain_service_pb2.ExplainRequest(interval=DAY, device=DEVICE, purpose="test"),
    "IngestService/Ingest": arrow_batch("wifi", 0, [RECORD]),
    "KeysService/ListKeys": keys_service_pb2.ListKeysRequest(),
    "KeysService/RotateMaster": keys_service_pb2.RotateMasterRequest(),
    "KeysService/RotateEpoch": keys_service_pb2.RotateEpochRequest(dataset="wifi", containing=instant(START)),
    "KeysService/ExportKeyring": keys_service_pb2.ExportKeyringRequest(interval=DAY, passphrase="open sesame"),
    "KeysService/DestroyEpochs": keys_service_pb2.DestroyEpochsRequest(
        dataset="wifi", before=instant(START), dry_run=True
    ),
    "OccupancyService/Count": occupancy_service_pb2.CountRequest(interval=DAY),
    "OccupancyService/CountByPlace": occupancy_service_pb2.CountByPlaceRequest(
        interval=DAY, groups=[occupancy_service_pb2.PlaceGroup(name="ground floor", places=["north door"])]
    ),
    "OccupancyService/Series": occupancy_service_pb2.SeriesRequest(interval=DAY, step=STEP),
    "OccupancyService/Peak": occupancy_service_pb2.PeakRequest(interval=DAY, step=STEP),
    "OccupancyService/ListPlaces": occupancy_service_pb2.ListPlacesRequest(interval=DAY),
    "OccupancyService/Dwell": occupancy_service_pb2.DwellRequest(interval=DAY),
    "PresenceService/FindSessions": presence_service_pb2.FindSessionsRequest(
        device=DEVICE, interval=DAY, purpose="test"
    ),
    "QueryService/ListDatasets": query_service_pb2.ListDatasetsRequest(),
    "QueryService/Query": query_service_pb2.QueryRequest(dataset="wifi", interval=DAY, purpose="test"),
    "StationsService/ListHistory": stations_service_pb2.ListHistoryRequest(station="lund/1", interval=DAY),
    "StationsService/ListLatest": stations_service_pb2.ListLatestRequest(contract="lund"),
    "StationsService/Availability": stations_service_pb2.AvailabilityRequest(contract="lund", interval=DAY, step=STEP),
    "VerificationService/Verify": verification_service_pb2.VerifyRequest(dataset="wifi", interval=DAY),
    "StorageService/Append": storage_pb2.AppendRequest(cells=[cell()]),
    "StorageService/Select": storage_pb2.SelectRequest(predicate=any_of([tag()])),
    "StorageService/Measure": storage_pb2.MeasureRequest(predicate=any_of([tag()])),
    "StorageService/Delete": storage_pb2.DeleteRequest(predicate=any_of([tag()])),
    "StorageService/Describe": storage_pb2.DescribeRequest(),
}

# In which every value says something.
ANYTHING = {
    "ApprovalService/Decide grant",
    "CompactionService/Compact include_open",
    "DeadLetterService/Open letters",  # what does not open is listed
    "DeadLetterService/Seal payloads",
    "IngestService/Ingest json_lines",  # a line that cannot be read is listed
    "IngestService/Ingest sequence",
    "KeysService/DestroyEpochs dry_run",
    "OccupancyService/Count exact",
    "StorageService/Append cells.sealed",
    "StorageService/Select page_bytes",
}

WORD = "nonsense"
TEXT = WORD * 10_000
TIMES = [Timestamp(seconds=-1), Timestamp(seconds=253_402_300_800), Timestamp(nanos=-1), Timestamp(nanos=10**9)]
SPANS = [
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(seconds=1, nanos=-1),
    Duration(nanos=10**9),
    Duration(seconds=315_576_000_001),
]
MANY = 70_000


class Case(NamedTuple):
    """A request in which one field is nonsense."""

    field: str
    request: Message


METHODS = {
    f"{service.name}/{method.name}": method
    for file in (*CONTRACTS, storage_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}


def cases(rpc: str) -> Iterator[Case]:
    good: Any = GOOD[rpc]
    for path in _paths(good.DESCRIPTOR):
        field = ".".join(step.name for step in path)
        for put in _nonsense(path[-1], f"{rpc} {field}"):
            request = type(good)()
            request.CopyFrom(good)
            parent = request
            for step in path[:-1]:
                value = getattr(parent, step.name)
                parent = value[0] if step.is_repeated else value
            put(parent, path[-1])
            yield Case(field, request)


def _paths(of: Descriptor) -> Iterator[list[FieldDescriptor]]:
    for field in of.fields:
        yield [field]
        if field.message_type and field.message_type.file.package != "google.protobuf":
            yield from ([field, *rest] for rest in _paths(field.message_type))


def _nonsense(field: FieldDescriptor, name: str) -> Iterator[Callable[[Message, FieldDescriptor], None]]:
    """What to do to a message that holds the field."""
    if field.is_repeated:
        yield _many
    for value in [] if name in ANYTHING else _values(field):
        yield partial(_put, value=value)


def _many(message: Message, field: FieldDescriptor) -> None:
    one = GetMessageClass(field.message_type)() if field.message_type else _values(field)[0][:1]
    getattr(message, field.name).extend([one] * MANY)


def _values(field: FieldDescriptor) -> list[Any]:
    if field.message_type:
        known: dict[str, list[Any]] = {"google.protobuf.Timestamp": TIMES, "google.protobuf.Duration": SPANS}
        return known.get(field.message_type.full_name, [])
    if field.type == FieldDescriptor.TYPE_STRING:
        return [TEXT]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return [TEXT.encode()]
    if field.type == FieldDescriptor.TYPE_UINT64:
        return [0, (1 << 64) - 1]
    raise AssertionError(f"what is nonsense in {field.full_name}?")


def _put(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    elif field.message_type:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, grpc.Channel]]:
    folder = tmp_path_factory.mktemp("fields")
    with serving(f"sqlite:///{folder}/cells.db") as storage, proxying(folder / "home", storage.address) as proxy:
        proxy.ingest("wifi", [RECORD])
        store = open_store(proxy.home.trusted_store)
        key = Keyring(store, proxy.home.master_key(PASSPHRASE)).derived(OWNER, KEY, LABEL)
        with pytest.raises(ApprovalRequiredError):  # something to decide about
            Approvals(store, key).require("test", Timestamp(), "somebody")
        yield {"privacyplease.proxy.v1": proxy.channel, "privacyplease.storage.v1": storage.channel}


def ask(channels: dict[str, grpc.Channel], rpc: str, request: Message) -> None:
    method: MethodDescriptor = METHODS[rpc]
    path = f"/{method.containing_service.full_name}/{method.name}"
    call: Any = channels[method.containing_service.file.package].stream_stream(path, None, None)
    list(call(iter([request.SerializeToString()]), timeout=30))


def refused(channels: dict[str, grpc.Channel], rpc: str, case: Case) -> grpc.RpcError:
    try:
        ask(channels, rpc, case.request)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"{case.field} took {str(case.request)[-200:]}")


def test_every_rpc_has_a_request_here() -> None:
    assert set(GOOD) == set(METHODS)


@pytest.mark.parametrize("rpc", GOOD)
def test_a_good_request_is_answered(channels: dict[str, grpc.Channel], rpc: str) -> None:
    ask(channels, rpc, GOOD[rpc])


@pytest.mark.parametrize("rpc", GOOD)
def test_nonsense_is_refused_by_the_name_of_its_field_and_not_told_back(
    channels: dict[str, grpc.Channel], rpc: str
) -> None:
    for case in cases(rpc):
        error = refused(channels, rpc, case)
        code, _, fields = refusal(error)
        expected = grpc.StatusCode.NOT_FOUND if case.field == "dataset" else grpc.StatusCode.INVALID_ARGUMENT
        assert code == expected, case.field
        assert {re.sub(r"\[\d+\]", "", field) for field in fields} == {case.field}
        assert WORD * 10 not in str(error)  # a name of a column, cut, helps whoever mistyped it
        assert len(str(error)) < 8_192
