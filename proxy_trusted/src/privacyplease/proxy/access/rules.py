"""The rules: for each rpc, the roles that may call it and what a request to it asks about.

An rpc without a rule is refused to every caller; a test checks this table against the contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message

from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.edge import requests
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EARLIEST
from privacyplease.proxy.v1 import types_pb2
from privacyplease.proxy.v1.keys_service_pb2 import DestroyEpochsRequest, RotateEpochRequest

Datasets = Mapping[str, Dataset]

PERSON = frozenset({Role.PRESENCE, Role.SELF})

# The data set of a request that names none and so means all of them.
EVERY_DATASET = "*"


@dataclass(frozen=True)
class RequestScope:
    """What a request asks about, as far as the policy is concerned.

    Attributes:
        roles: The caller needs one of them.
        dataset: The data set, or `EVERY_DATASET`; "" if the request is about none.
        subject: The subject, as written in the request; "" if it names none.
        interval: The interval, if the request has one.
        purpose: The stated purpose, if the request has a field for it.
        about_persons: Whether the answer reveals where a person was.
    """

    roles: frozenset[Role]
    dataset: str = ""
    subject: str = ""
    interval: types_pb2.Interval | None = None
    purpose: str = ""
    about_persons: bool = False


@dataclass(frozen=True)
class Rule:
    """Who may call an rpc at all, and how to tell what a request to it asks about.

    Attributes:
        roles: The caller needs one of them.
        read: Returns the scope of a request. Called for each message of a client stream.
        act: Whether the call is an administrative act, which is recorded.
        in_person: Whether the call is refused on behalf of another user.
        approval: What of a request a second person has to approve; None if they need not.
    """

    roles: frozenset[Role]
    read: Callable[[Any, Datasets], RequestScope]
    act: bool = False
    in_person: bool = False
    approval: Callable[[Any, Datasets], Message | None] = lambda _request, _datasets: None

    @property
    def asks(self) -> bool:
        """Whether the call asks about records, rather than sending them or running the system."""
        return bool(self.roles & {Role.COUNT, Role.STATIONS, Role.PRESENCE})


def _asks_nothing(role: Role, *, act: bool = False, in_person: bool = False) -> Rule:
    return Rule(frozenset({role}), lambda _request, _datasets: RequestScope(frozenset({role})), act, in_person)


def _names_dataset(*any_of: Role, unnamed: str = "", act: bool = False, in_person: bool = False) -> Rule:
    roles = frozenset(any_of)
    return Rule(roles, lambda request, _datasets: RequestScope(roles, request.dataset or unnamed), act, in_person)


def _names_no_dataset(*any_of: Role) -> Rule:
    return Rule(frozenset(any_of), lambda _request, _datasets: RequestScope(frozenset(any_of)))


def _whole(request: Message, _datasets: Datasets) -> Message:
    return request


def _destroyed(request: DestroyEpochsRequest, datasets: Datasets) -> Message | None:
    """Which epochs: a time that is relative to now is another one when the call is made again."""
    if request.dry_run:
        return None
    which = request.WhichOneof("which")
    return _to_the_epoch(request, which, datasets) if which else request


def _renewed(request: RotateEpochRequest, datasets: Datasets) -> Message:
    return _to_the_epoch(request, "containing", datasets)


def _to_the_epoch(request: DestroyEpochsRequest | RotateEpochRequest, field: str, datasets: Datasets) -> Message:
    """The request with a time of it moved to the beginning of its epoch.

    Raises:
        InvalidRequestError: It is not a time.
    """
    moved = deepcopy(request)
    if dataset := datasets.get(moved.dataset):
        instant = requests.instant(getattr(request, field), field)
        getattr(moved, field).FromMilliseconds(instant // dataset.epoch * dataset.epoch)
    return moved


def _count(request: Any, _datasets: Datasets) -> RequestScope:  # noqa: ANN401  # one of several messages
    dataset = request.dataset or requests.DEFAULT_DATASET
    return RequestScope(frozenset({Role.COUNT}), dataset, interval=request.interval)


def _dwell(request: Any, datasets: Datasets) -> RequestScope:  # noqa: ANN401
    """The look-back is part of the scope."""
    scope = _count(request, datasets)
    interval = types_pb2.Interval()
    interval.CopyFrom(request.interval)
    back = requests.millis(request.look_back, "look_back")
    if interval.HasField("start") and back:
        interval.start.FromMilliseconds(max(EARLIEST, requests.instant(interval.start, "interval.start") - back))
    return replace(scope, interval=interval)


def _export(request: Any, _datasets: Datasets) -> RequestScope:  # noqa: ANN401
    dataset = request.dataset or requests.DEFAULT_DATASET
    return RequestScope(frozenset({Role.KEYS}), dataset, interval=request.interval)


def _station(request: Any, _datasets: Datasets) -> RequestScope:  # noqa: ANN401  # one of two messages
    dataset = request.dataset or requests.DEFAULT_STATIONS
    return RequestScope(frozenset({Role.STATIONS}), dataset, interval=request.interval)


def _latest(request: Any, _datasets: Datasets) -> RequestScope:  # noqa: ANN401
    return RequestScope(frozenset({Role.STATIONS}), request.dataset or requests.DEFAULT_STATIONS)


def _sessions(request: Any, _datasets: Datasets) -> RequestScope:  # noqa: ANN401
    dataset = request.dataset or requests.DEFAULT_DATASET
    return RequestScope(PERSON, dataset, request.device, request.interval, request.purpose, about_persons=True)


def _explained(request: Any, datasets: Datasets) -> RequestScope:  # noqa: ANN401
    """The scope of the explained question: being an administrator does not widen what may be asked."""
    return _sessions(request, datasets) if request.device else _count(request, datasets)


def _query(request: Any, datasets: Datasets) -> RequestScope:  # noqa: ANN401
    """Records of bike stations concern no person; all others are assumed to."""
    dataset = datasets.get(request.dataset)
    stations = dataset is not None and dataset.is_stations
    roles = frozenset({Role.STATIONS}) if stations else PERSON
    return RequestScope(
        roles, request.dataset, request.subject, request.interval, request.purpose, about_persons=not stations
    )


def _entries(request: Any, _datasets: Datasets) -> RequestScope:  # noqa: ANN401
    return RequestScope(frozenset({Role.AUDIT}), subject=request.device)


_V1 = "/privacyplease.proxy.v1"
_COUNT = Rule(frozenset({Role.COUNT}), _count)
_STATION = Rule(frozenset({Role.STATIONS}), _station)

RULES: Mapping[str, Rule] = {
    f"{_V1}.AdminService/GetStatus": _asks_nothing(Role.ADMIN),
    f"{_V1}.ApprovalService/Decide": _asks_nothing(Role.APPROVER, act=True, in_person=True),
    f"{_V1}.ApprovalService/ListApprovals": _names_no_dataset(Role.APPROVER, Role.KEYS),
    f"{_V1}.AuditService/ListEntries": Rule(frozenset({Role.AUDIT}), _entries, act=True),
    f"{_V1}.AuditService/VerifyLog": _asks_nothing(Role.AUDIT, act=True),
    f"{_V1}.CompactionService/Compact": _names_dataset(Role.ADMIN, unnamed=EVERY_DATASET),
    f"{_V1}.DeadLetterService/Open": _names_dataset(Role.ADMIN, act=True, in_person=True),
    f"{_V1}.DeadLetterService/Seal": _names_dataset(Role.INGEST),
    f"{_V1}.ExplainService/Explain": Rule(frozenset({Role.ADMIN}), _explained, act=True),
    f"{_V1}.IngestService/Ingest": _names_dataset(Role.INGEST),
    f"{_V1}.KeysService/DestroyEpochs": replace(
        _names_dataset(Role.KEYS, act=True, in_person=True), approval=_destroyed
    ),
    f"{_V1}.KeysService/ExportKeyring": Rule(
        frozenset({Role.KEYS}), _export, act=True, in_person=True, approval=_whole
    ),
    f"{_V1}.KeysService/ListKeys": _names_dataset(Role.ADMIN, Role.KEYS, unnamed=EVERY_DATASET),
    f"{_V1}.KeysService/RotateEpoch": replace(_names_dataset(Role.KEYS, act=True, in_person=True), approval=_renewed),
    f"{_V1}.KeysService/RotateMaster": replace(_asks_nothing(Role.KEYS, act=True, in_person=True), approval=_whole),
    f"{_V1}.OccupancyService/Count": _COUNT,
    f"{_V1}.OccupancyService/CountByPlace": _COUNT,
    f"{_V1}.OccupancyService/Dwell": Rule(frozenset({Role.COUNT}), _dwell),
    f"{_V1}.OccupancyService/ListPlaces": _COUNT,
    f"{_V1}.OccupancyService/Peak": _COUNT,
    f"{_V1}.OccupancyService/Series": _COUNT,
    f"{_V1}.PresenceService/FindSessions": Rule(PERSON, _sessions),
    f"{_V1}.QueryService/ListDatasets": Rule(
        frozenset(Role), lambda _request, _datasets: RequestScope(frozenset(Role))
    ),
    f"{_V1}.QueryService/Query": Rule(PERSON | {Role.STATIONS}, _query),
    f"{_V1}.StationsService/Availability": _STATION,
    f"{_V1}.StationsService/ListHistory": _STATION,
    f"{_V1}.StationsService/ListLatest": Rule(frozenset({Role.STATIONS}), _latest),
    f"{_V1}.VerificationService/Verify": _names_dataset(Role.ADMIN, unnamed=EVERY_DATASET, act=True),
}

# For an rpc that is not in the table: no role allows it.
NO_RULE = Rule(frozenset(), lambda _request, _datasets: RequestScope(frozenset()))

# Open to every caller whose certificate names a client.
OPEN = frozenset(
    {
        f"{_V1}.AccessService/WhoAmI",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
