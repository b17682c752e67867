"""What comes over gRPC: requests to the storage server, its answers to the proxy, and the proxy's to the SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from tests.soak.parsers.target import Parse, Target

_STATUS_KEY = "grpc-status-details-bin"


class _Failure(grpc.RpcError, grpc.Call):
    """A failed call, with the details that the other side sent."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INVALID_ARGUMENT

    def details(self) -> str:
        return "refused"

    def trailing_metadata(self) -> Any:
        return [(_STATUS_KEY, self._data)]


def _status_seeds() -> Iterable[bytes]:
    from google.rpc import error_details_pb2, status_pb2

    status = status_pb2.Status(code=3, message="refused")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="CELL_TOO_LARGE", domain="proxy.privacyplease"))
    status.details.add().Pack(error_details_pb2.RetryInfo())
    yield status.SerializeToString()
    yield b""


def _storage_errors(_folder: Path) -> Parse:
    from privacyplease.proxy.storage import client

    return lambda data: client._error(_Failure(data))


def _storage_pages(_folder: Path) -> Parse:
    from privacyplease.proxy.storage import client
    from privacyplease.proxy.storage.cell import Tag
    from privacyplease.storage.v1 import storage_service_pb2 as pb

    wanted = frozenset(Tag(bytes([number]) * 16) for number in range(4))
    return lambda data: client._check_page(pb.SelectResponse.FromString(data).cells, wanted, b"")


def _inconsistent() -> tuple[type[Exception], ...]:
    from privacyplease.proxy.errors import AnswerInconsistentError

    return DecodeError, AnswerInconsistentError


def _page_seeds() -> Iterable[bytes]:
    from privacyplease.storage.v1 import storage_service_pb2 as pb

    cells = [pb.Cell(tag=bytes([number]) * 16, sealed=b"x") for number in (1, 2)]
    yield pb.SelectResponse(cells=cells, cursor=cells[-1].tag).SerializeToString()


def _requests(_folder: Path) -> Parse:
    from privacyplease.server import requests
    from privacyplease.server.limits import Limits
    from privacyplease.storage.v1 import storage_service_pb2 as pb

    limits = Limits(max_cells_per_append=8, max_tags_per_predicate=8, max_cell_bytes=1_024)

    def parse(data: bytes) -> object:
        if data[:1] == b"\0":
            return requests.cells_to_append(pb.AppendRequest.FromString(data[1:]), limits)
        request = pb.SelectRequest.FromString(data[1:])
        return requests.tags_after(request.cursor, requests.tags_of(request.predicate, limits))

    return parse


def _request_errors() -> tuple[type[Exception], ...]:
    from privacyplease.server import errors

    return (
        DecodeError,
        errors.InvalidRequestError,
        errors.TooManyCellsError,
        errors.CellTooLargeError,
        errors.PredicateTooLargeError,
    )


def _request_seeds() -> Iterable[bytes]:
    from privacyplease.storage.v1 import storage_service_pb2 as pb

    tags = [bytes([number]) * 16 for number in (1, 2)]
    yield b"\0" + pb.AppendRequest(cells=[pb.Cell(tag=tag, sealed=b"x") for tag in tags]).SerializeToString()
    predicate = pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags))
    yield b"\1" + pb.SelectRequest(predicate=predicate, cursor=tags[0]).SerializeToString()


def _answers() -> list[tuple[type[Message], Callable[[Any], object]]]:
    """Each response of the contract, and what makes the SDK's result of it."""
    from privacyplease.client._internal.messages import answers, approvals, keys, system, verification
    from privacyplease.proxy.v1 import (
        access_service_pb2,
        admin_service_pb2,
        approval_service_pb2,
        audit_service_pb2,
        explain_service_pb2,
        keys_service_pb2,
        occupancy_service_pb2,
        presence_service_pb2,
        query_service_pb2,
        stations_service_pb2,
        verification_service_pb2,
    )

    step = timedelta(minutes=15)
    return [
        (presence_service_pb2.FindSessionsResponse, lambda each: list(answers.presence([each]).sessions)),
        (occupancy_service_pb2.CountResponse, answers.count),
        (occupancy_service_pb2.SeriesResponse, lambda each: list(answers.occupancy([each], step).series)),
        (occupancy_service_pb2.DwellResponse, lambda each: answers.dwell(each, (step,))),
        (occupancy_service_pb2.CountByPlaceResponse, lambda each: answers.place_counts([each])),
        (occupancy_service_pb2.ListPlacesResponse, lambda each: answers.places([each])),
        (explain_service_pb2.ExplainResponse, answers.explanation),
        (stations_service_pb2.ListLatestResponse, lambda each: list(answers.station_states([each]))),
        (stations_service_pb2.AvailabilityResponse, lambda each: answers.availability([each], step)),
        (query_service_pb2.ListDatasetsResponse, answers.datasets),
        (access_service_pb2.WhoAmIResponse, answers.access),
        (audit_service_pb2.ListEntriesResponse, lambda each: answers.audit_entries([each])),
        (audit_service_pb2.VerifyLogResponse, answers.audit_verdict),
        (admin_service_pb2.GetStatusResponse, system.status),
        (keys_service_pb2.ListKeysResponse, keys.keys),
        (approval_service_pb2.ListApprovalsResponse, approvals.approvals),
        (verification_service_pb2.VerifyResponse, verification.VerificationReader(None).read),
    ]


def _sdk_answers(_folder: Path) -> Parse:
    kinds = _answers()

    def parse(data: bytes) -> object:
        kind, result = kinds[data[0] % len(kinds) if data else 0]
        return result(kind.FromString(data[1:]))

    return parse


def _sdk_errors() -> tuple[type[Exception], ...]:
    from privacyplease.client.errors import PrivacyPleaseError

    return DecodeError, PrivacyPleaseError


def _answer_seeds() -> Iterable[bytes]:
    for number, (kind, _) in enumerate(_answers()):
        yield bytes([number]) + kind().SerializeToString()


def _sdk_failures(_folder: Path) -> Parse:
    from privacyplease.client._internal.connection import statuses

    peer: Any = SimpleNamespace(address="127.0.0.1:1", certificates=None)
    return lambda data: statuses.error_of(_Failure(data), peer)


def _addresses(_folder: Path) -> Parse:
    from privacyplease.transport.address import checked_address

    return lambda data: checked_address(data.decode(errors="surrogateescape"))


TARGETS = {
    "storage errors": Target(_storage_errors, lambda: (), _status_seeds),
    "storage pages": Target(_storage_pages, _inconsistent, _page_seeds),
    "storage requests": Target(_requests, _request_errors, _request_seeds),
    "sdk answers": Target(_sdk_answers, _sdk_errors, _answer_seeds),
    "sdk errors": Target(_sdk_failures, lambda: (), _status_seeds),
    "addresses": Target(_addresses, lambda: (ValueError,), lambda: [b"proxy:50050", b"[fe80::1%eth0]:1"]),
}
