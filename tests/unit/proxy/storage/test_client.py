"""The storage server is not trusted: what it sends is checked before anything is opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2

from privacyplease.proxy.certificates.authority import Subject
from privacyplease.proxy.errors import (
    AnswerInconsistentError,
    ConfigurationError,
    StorageRefusedError,
    StorageUnavailableError,
)
from privacyplease.proxy.storage import client as storage_client
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.client import APPEND_BYTES, StorageClient
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as pb_grpc
from privacyplease.transport.credentials import server_credentials
from privacyplease.transport.keepalive import Keepalive
from tests.services.certificates import Made
from tests.services.forgetful_nat import nat_before
from tests.services.polling import eventually

TAGS = [Tag(bytes([number]) * 16) for number in range(1, 6)]
KEEPALIVE = Keepalive(interval_s=0.5, answer_s=1)
CELL = Cell(TAGS[0], Sealed(b"x"))
LIMITS = pb.Limits(max_tags_per_predicate=2, max_cells_per_append=3, max_cell_bytes=1 << 20, max_message_bytes=1 << 25)


class Scripted(pb_grpc.StorageServiceServicer):
    """A server whose answers a test defines."""

    def __init__(self, answer: Callable[[pb.SelectRequest], list[list[pb.Cell]]], limits: pb.Limits = LIMITS) -> None:
        self.answer, self.limits = answer, limits
        self.asked: list[list[bytes]] = []
        self.appended: list[pb.AppendRequest] = []

    def Describe(self, _request: pb.DescribeRequest, _context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802
        return pb.DescribeResponse(limits=self.limits)

    def Select(self, request: pb.SelectRequest, context: grpc.ServicerContext) -> Iterator[pb.SelectResponse]:  # noqa: N802
        self.asked.append(list(request.predicate.any_of_tags.tags))
        for cells in self.answer(request):
            yield pb.SelectResponse(cells=cells)

    def Append(self, request: pb.AppendRequest, _context: grpc.ServicerContext) -> pb.AppendResponse:  # noqa: N802
        self.appended.append(request)
        return pb.AppendResponse(cells=len(request.cells))


@contextmanager
def connected(service: Scripted) -> Iterator[StorageClient]:
    with serving(service) as port:
        yield StorageClient.connect(f"127.0.0.1:{port}")


@contextmanager
def serving(service: Scripted, port: int = 0) -> Iterator[int]:
    options = [("grpc.max_receive_message_length", 1 << 25), *KEEPALIVE.server_options()]
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    pb_grpc.add_StorageServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def cell(tag: bytes) -> pb.Cell:
    return pb.Cell(tag=tag, sealed=b"sealed")


def test_a_predicate_beyond_the_servers_limit_is_split() -> None:
    service = Scripted(lambda request: [[cell(tag)] for tag in request.predicate.any_of_tags.tags])
    with connected(service) as storage:
        found = storage.select(reversed(TAGS))
    assert service.asked == [TAGS[0:2], TAGS[2:4], TAGS[4:]]
    assert found == dict.fromkeys(TAGS, b"sealed")


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ([[cell(TAGS[4])]], "not asked for"),
        ([[cell(TAGS[0]), cell(TAGS[0])]], "twice or out of order"),
        ([[cell(TAGS[0])], [cell(TAGS[0])]], "twice or out of order"),
        ([[cell(TAGS[1]), cell(TAGS[0])]], "twice or out of order"),
        ([[cell(TAGS[1])], [cell(TAGS[0])]], "twice or out of order"),
    ],
    ids=["not asked for", "twice in a page", "twice in two pages", "out of order in a page", "out of order in two"],
)
def test_an_answer_that_does_not_fit_the_question_is_refused(pages: list[list[pb.Cell]], message: str) -> None:
    with connected(Scripted(lambda _: pages)) as storage, pytest.raises(AnswerInconsistentError, match=message):
        storage.select(TAGS[:2])


def test_cells_are_sent_in_one_call() -> None:
    service = Scripted(lambda _: [])
    with connected(service) as storage:
        storage.append([Cell(tag, Sealed(b"x")) for tag in TAGS[:3]])
    (request,) = service.appended
    assert [one.tag for one in request.cells] == TAGS[:3]


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([1] * 5, [3, 2]),  # no more than the server accepts
        ([APPEND_BYTES // 2] * 5, [2, 2, 1]),
        ([APPEND_BYTES * 2, 1, 1], [1, 2]),
        ([], []),
    ],
    ids=["many", "large", "one that is larger by itself", "none"],
)
def test_cells_that_do_not_fit_into_one_call_are_sent_in_several(sizes: list[int], parts: list[int]) -> None:
    service = Scripted(lambda _: [])
    with connected(service) as storage:
        storage.append([Cell(tag, Sealed(bytes(size))) for tag, size in zip(TAGS, sizes, strict=False)])
    assert [len(request.cells) for request in service.appended] == parts
    assert [one.tag for request in service.appended for one in request.cells] == TAGS[: len(sizes)]


def test_a_failed_call_is_reported_as_refused() -> None:
    service = Scripted(lambda _: [])

    def fail(_request: pb.AppendRequest, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INTERNAL, "no")

    service.Append = fail  # type: ignore[method-assign, assignment]
    with connected(service) as storage, pytest.raises(StorageRefusedError):
        storage.append([CELL])


def test_a_server_without_limits_is_refused() -> None:
    with (
        connected(Scripted(lambda _: [], pb.Limits())) as storage,
        pytest.raises(StorageRefusedError, match="limits, got none"),
    ):
        storage.limits()


def test_an_interrupted_answer_is_reported_as_refused() -> None:
    def fail(_: pb.SelectRequest) -> list[list[pb.Cell]]:
        raise LookupError("server fault")

    with connected(Scripted(fail)) as storage, pytest.raises(StorageRefusedError, match="UNKNOWN"):
        storage.select(TAGS)


@pytest.mark.slow  # waits for retries
def test_no_call_waits_for_a_server_that_is_known_to_be_unavailable() -> None:
    with serving(Scripted(lambda _: [])) as port:
        storage = StorageClient.connect(f"127.0.0.1:{port}")
        storage.limits()
    with pytest.raises(StorageUnavailableError):
        storage.describe()
    began = time.monotonic()
    for ask in [lambda: storage.append([CELL])] + [lambda: storage.select(TAGS)] * 20:
        with pytest.raises(StorageUnavailableError, match="cannot be reached"):
            ask()
    assert time.monotonic() - began < 10  # with retries each call takes 3 s
    with serving(Scripted(lambda _: []), port):
        assert eventually(lambda: answers(storage), 20)
        storage.append([CELL])


def answers(storage: StorageClient) -> bool:
    try:
        storage.describe()
    except StorageUnavailableError:
        return False
    return True


@pytest.mark.slow  # waits for retries
def test_a_server_that_does_not_exist_is_unavailable() -> None:
    with pytest.raises(StorageUnavailableError):
        StorageClient.connect("127.0.0.1:1").describe()


def test_a_call_on_a_dead_connection_is_made_again_over_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_client, "KEEPALIVE", KEEPALIVE)
    with serving(Scripted(lambda _: [])) as port, nat_before(f"127.0.0.1:{port}") as nat:
        storage = StorageClient.connect(nat.address)
        storage.describe()
        nat.forget()
        began = time.monotonic()
        assert storage.describe().limits == LIMITS
        assert time.monotonic() - began < 10  # the deadline is a minute
        assert len(nat.connections) == 2


def test_a_server_certified_for_another_name_is_reported_as_such(tmp_path: Path) -> None:
    made = Made(tmp_path)
    other = made.forged("other", Subject("storage", "server", ("storage.example.org",)), hop="storage")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(other, ConfigurationError))
    server.start()
    try:
        storage = StorageClient.connect(f"127.0.0.1:{port}", made["proxy-to-storage"])
        with pytest.raises(StorageUnavailableError, match="does not trust the server's"):
            storage.describe()
    finally:
        server.stop(0).wait()


class _Contradicting(Scripted):
    """A server that refuses with details that contradict the status, or are no message at all."""

    def __init__(self, details: bytes) -> None:
        super().__init__(lambda request: [])
        self._details = details

    def Append(self, _request: pb.AppendRequest, context: grpc.ServicerContext) -> pb.AppendResponse:  # noqa: N802
        context.set_trailing_metadata((("grpc-status-details-bin", self._details),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")


@pytest.mark.parametrize(
    "details",
    [
        b"",
        b"\xff",
        status_pb2.Status(code=5, message="refused").SerializeToString(),
        status_pb2.Status(code=3, message="another").SerializeToString(),
        status_pb2.Status(
            code=3,
            message="refused",
            details=[any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")],
        ).SerializeToString(),
    ],
    ids=["empty", "no message", "another code", "another text", "a broken detail"],
)
def test_a_refusal_whose_details_cannot_be_read_is_a_refusal(details: bytes) -> None:
    with (
        connected(_Contradicting(details)) as storage,
        pytest.raises(StorageRefusedError, match="INVALID_ARGUMENT"),
    ):
        storage.append([CELL])
