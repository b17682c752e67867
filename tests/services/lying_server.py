"""A storage server that lies: a gRPC server that forwards to the real one and changes its answers on demand.

Example:
    with (
        serving(url) as storage,
        lying(storage.stub, Random(1)) as liar,
        proxying(home, liar.address, cache_bytes=0) as proxy,  # no cache: it fetches every time
    ):
        proxy.ingest("wifi", records)
        liar.acknowledge()
        liar.lie = "drop"
        proxy.occupancy.Count(...)  # fails with DATA_LOSS
        assert liar.lied
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from random import Random
from typing import NamedTuple

import grpc

from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc
from privacyplease.transport.keepalive import KEEPALIVE
from tests.services.cells import ascending

_OPTIONS = [("grpc.max_receive_message_length", 1 << 25), *KEEPALIVE.server_options()]

Cells = list[pb.Cell]
Stored = Mapping[bytes, bytes]


class HonestAnswer(NamedTuple):
    """The honest answer to a selection, and what a lie can be made from.

    Attributes:
        cells: The honest answer, ascending. It is complete: a question requests only what is stored.
        requested: The tags of the predicate.
        acknowledged: The store, sealed bytes by tag, at each time when the proxy had acknowledged all that was in it.
        appended: Every cell that was ever appended, in that order.
    """

    cells: Cells
    requested: list[bytes]
    acknowledged: list[Stored]
    appended: Cells

    def with_changed(self, position: int, **fields: bytes) -> Cells:
        """The answer, with fields of one cell changed."""
        cell = self.cells[position]
        changed = pb.Cell(**{"tag": cell.tag, "sealed": cell.sealed} | fields)
        return [*self.cells[:position], changed, *self.cells[position + 1 :]]


class LyingServer(rpc.StorageServiceServicer):
    """Answers as the server behind it does, except where `lie` says otherwise.

    Attributes:
        address: Its HOST:PORT.
        lie: How to change the next answer with cells: a key of `LIES`, or "" for an honest answer.
        lied: Whether an answer has been changed; the test resets it.
    """

    address = ""

    def __init__(self, honest: rpc.StorageServiceStub, random: Random) -> None:
        self._honest = honest
        self._random = random
        self._appended: Cells = []
        self._stored: dict[bytes, bytes] = {}
        self._snapshots: list[Stored] = [{}]
        self._lock = threading.Lock()
        self.lie = ""
        self.lied = False

    def acknowledge(self) -> None:
        """Records that the proxy has acknowledged all that was appended so far: a lie may roll back to this state."""
        with self._lock:
            self._snapshots.append(dict(self._stored))

    def Append(self, request: pb.AppendRequest, _context: grpc.ServicerContext) -> pb.AppendResponse:  # noqa: N802
        response = self._honest.Append(request)
        with self._lock:
            for cell in request.cells:
                self._appended.append(cell)
                self._stored.setdefault(cell.tag, cell.sealed)
        return response

    def Delete(self, request: pb.DeleteRequest, _context: grpc.ServicerContext) -> pb.DeleteResponse:  # noqa: N802
        response = self._honest.Delete(request)
        with self._lock:
            for tag in request.predicate.any_of_tags.tags:
                self._stored.pop(tag, None)
        return response

    def Measure(self, request: pb.MeasureRequest, _context: grpc.ServicerContext) -> pb.MeasureResponse:  # noqa: N802
        return self._honest.Measure(request)

    def Describe(self, request: pb.DescribeRequest, _context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802
        return self._honest.Describe(request)

    def Select(self, request: pb.SelectRequest, _context: grpc.ServicerContext) -> Iterator[pb.SelectResponse]:  # noqa: N802
        lie = self.lie
        cells = [cell for page in self._honest.Select(request) for cell in page.cells]
        changed = self._changed(lie, cells, request) if lie and cells else None
        if changed is not None:
            self.lie, self.lied = "", True
            cells = changed
        while cells:  # pages of any size, as a server may choose them
            size = self._random.randint(1, len(cells))
            yield pb.SelectResponse(cells=cells[:size], cursor=cells[size - 1].tag)
            cells = cells[size:]

    def _changed(self, lie: str, cells: Cells, request: pb.SelectRequest) -> Cells | None:
        requested = sorted(tag for tag in set(request.predicate.any_of_tags.tags) if tag > request.cursor)
        with self._lock:
            honest = HonestAnswer(cells, requested, list(self._snapshots), list(self._appended))
        return LIES[lie](honest, self._random)


@contextmanager
def lying(honest: rpc.StorageServiceStub, random: Random) -> Iterator[LyingServer]:
    """Runs a lying server in this process, within the block."""
    liar = LyingServer(honest, random)
    server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
    rpc.add_StorageServiceServicer_to_server(liar, server)
    liar.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield liar
    finally:
        server.stop(0).wait()


# Turns an honest answer, which has at least one cell, into a lie; None if this lie cannot be made from it.
Lie = Callable[[HonestAnswer, Random], Cells | None]


def _drop(honest: HonestAnswer, random: Random) -> Cells | None:
    dropped = set(random.sample(range(len(honest.cells)), min(len(honest.cells), random.choice([1, 1, 2, 5]))))
    return [cell for position, cell in enumerate(honest.cells) if position not in dropped]


def _empty(_honest: HonestAnswer, _random: Random) -> Cells | None:
    return []


def _truncate(honest: HonestAnswer, random: Random) -> Cells | None:
    return honest.cells[: random.randrange(len(honest.cells))]


def _roll_back(honest: HonestAnswer, random: Random) -> Cells | None:
    """The store at an earlier time: cells appended since then are missing."""
    old = random.choice(honest.acknowledged)
    answer = [pb.Cell(tag=tag, sealed=old[tag]) for tag in honest.requested if tag in old]
    return answer if answer != honest.cells else None


def _bring_back(honest: HonestAnswer, random: Random) -> Cells | None:
    """The sealed bytes of an earlier cell under the tag of a later one, of the same size if there is one."""
    position = random.randrange(len(honest.cells))
    cell = honest.cells[position]
    older = list(takewhile(lambda one: one != cell, honest.appended))
    same_size = [one for one in older if len(one.sealed) == len(cell.sealed)]
    return honest.with_changed(position, sealed=random.choice(same_size or older).sealed) if older else None


def _repeat(honest: HonestAnswer, random: Random) -> Cells | None:
    answer = [*honest.cells, random.choice(honest.cells)]
    return ascending(answer) if random.random() < 0.5 else answer


def _replace(honest: HonestAnswer, random: Random) -> Cells | None:
    """One cell twice instead of another, so that the number of cells is right."""
    answer = _drop(honest, random)
    return ascending([*answer, random.choice(answer)]) if answer else None


def _reorder(honest: HonestAnswer, random: Random) -> Cells | None:
    answer = random.sample(honest.cells, len(honest.cells))
    return answer if answer != honest.cells else None


def _exchange_contents(honest: HonestAnswer, random: Random) -> Cells | None:
    if len(honest.cells) < 2:
        return None
    one, other = random.sample(range(len(honest.cells)), 2)
    answer = honest.with_changed(one, sealed=honest.cells[other].sealed)
    answer[other] = pb.Cell(tag=honest.cells[other].tag, sealed=honest.cells[one].sealed)
    return answer


def _move(honest: HonestAnswer, random: Random) -> Cells | None:
    """A cell under another one of the requested tags."""
    if len(honest.requested) < 2:
        return None
    position = random.randrange(len(honest.cells))
    tag = random.choice([tag for tag in honest.requested if tag != honest.cells[position].tag])
    return ascending(honest.with_changed(position, tag=tag))


def _inject(honest: HonestAnswer, random: Random) -> Cells | None:
    """A cell that was not requested: a genuine one, or one under a made-up tag."""
    forged = pb.Cell(tag=random.randbytes(16), sealed=random.choice(honest.cells).sealed)
    genuine = [cell for cell in honest.appended if cell.tag not in honest.requested]
    return ascending([*honest.cells, random.choice([forged, random.choice(genuine or [forged])])])


def _flip(honest: HonestAnswer, random: Random) -> Cells | None:
    position = random.randrange(len(honest.cells))
    field = random.choice(["tag", "sealed", "sealed"])
    octets = bytearray(getattr(honest.cells[position], field))
    octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    return honest.with_changed(position, **{field: bytes(octets)})


def _shorten(honest: HonestAnswer, random: Random) -> Cells | None:
    position = random.randrange(len(honest.cells))
    field = random.choice(["tag", "sealed"])
    octets = getattr(honest.cells[position], field)
    return honest.with_changed(position, **{field: octets[: random.randrange(len(octets))]})


LIES: dict[str, Lie] = {
    "drop": _drop,
    "empty": _empty,
    "truncate": _truncate,
    "roll back": _roll_back,
    "bring back": _bring_back,
    "repeat": _repeat,
    "replace": _replace,
    "reorder": _reorder,
    "exchange contents": _exchange_contents,
    "move": _move,
    "inject": _inject,
    "flip a bit": _flip,
    "shorten": _shorten,
}
