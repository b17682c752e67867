"""A storage server that lies: the real one behind a real gRPC server that changes its answers when it is told to.

Example:
    with (
        serving(url) as storage,
        lying(storage.stub, Random(1)) as liar,
        proxying(home, liar.address, cache_bytes=0) as proxy,  # which asks it each time
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
from tests.services.cells import ascending

Cells = list[pb.Cell]
Stored = Mapping[bytes, bytes]


class Truth(NamedTuple):
    """What an honest server would answer, and what a lie can be made of.

    Attributes:
        cells: The honest answer, ascending. All of it must come: a question asks for nothing that is not stored.
        asked: The tags of the predicate.
        acknowledged: The store, sealed bytes by tag, at each time when the proxy had acknowledged whatever was in it.
        appended: Every cell that ever came, in that order.
    """

    cells: Cells
    asked: list[bytes]
    acknowledged: list[Stored]
    appended: Cells

    def but(self, at: int, **fields: bytes) -> Cells:
        """The answer, with fields of one cell changed."""
        changed = pb.Cell(**{"tag": self.cells[at].tag, "sealed": self.cells[at].sealed} | fields)
        return [*self.cells[:at], changed, *self.cells[at + 1 :]]


class LyingServer(rpc.StorageServiceServicer):
    """Answers as the server behind it does, but for what `lie` says.

    Attributes:
        address: Where it serves.
        lie: What the next answer with cells is to be changed by: a key of `LIES`, or "" for an honest one.
        lied: Whether an answer was changed since `lie` was set to "".
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
        """Says that the proxy has acknowledged whatever was appended until now: a lie may roll back to this."""
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
        told = self._told(lie, cells, request) if lie and cells else None
        if told is not None:
            self.lie, self.lied = "", True
            cells = told
        while cells:  # pages of any size, as a server may choose them
            size = self._random.randint(1, len(cells))
            yield pb.SelectResponse(cells=cells[:size], cursor=cells[size - 1].tag)
            cells = cells[size:]

    def _told(self, lie: str, cells: Cells, request: pb.SelectRequest) -> Cells | None:
        asked = sorted(tag for tag in set(request.predicate.any_of_tags.tags) if tag > request.cursor)
        with self._lock:
            truth = Truth(cells, asked, list(self._snapshots), list(self._appended))
        return LIES[lie](truth, self._random)


@contextmanager
def lying(honest: rpc.StorageServiceStub, random: Random) -> Iterator[LyingServer]:
    """Serves lies from this process, for as long as the block lasts."""
    liar = LyingServer(honest, random)
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 1 << 25)])
    rpc.add_StorageServiceServicer_to_server(liar, server)
    liar.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield liar
    finally:
        server.stop(0).wait()


# Each takes the truth, in which there is a cell, and returns another answer; None if this lie cannot be told of it.
Lie = Callable[[Truth, Random], Cells | None]


def _drop(truth: Truth, random: Random) -> Cells | None:
    gone = set(random.sample(range(len(truth.cells)), min(len(truth.cells), random.choice([1, 1, 2, 5]))))
    return [cell for at, cell in enumerate(truth.cells) if at not in gone]


def _empty(_truth: Truth, _random: Random) -> Cells | None:
    return []


def _truncate(truth: Truth, random: Random) -> Cells | None:
    return truth.cells[: random.randrange(len(truth.cells))]


def _roll_back(truth: Truth, random: Random) -> Cells | None:
    """The whole store as it was once: what came later is missing."""
    old = random.choice(truth.acknowledged)
    told = [pb.Cell(tag=tag, sealed=old[tag]) for tag in truth.asked if tag in old]
    return told if told != truth.cells else None


def _bring_back(truth: Truth, random: Random) -> Cells | None:
    """Under a tag the sealed bytes of a cell that came before, of the same size if there is one."""
    at = random.randrange(len(truth.cells))
    cell = truth.cells[at]
    older = list(takewhile(lambda one: one != cell, truth.appended))
    alike = [one for one in older if len(one.sealed) == len(cell.sealed)]
    return truth.but(at, sealed=random.choice(alike or older).sealed) if older else None


def _repeat(truth: Truth, random: Random) -> Cells | None:
    told = [*truth.cells, random.choice(truth.cells)]
    return ascending(told) if random.random() < 0.5 else told


def _replace(truth: Truth, random: Random) -> Cells | None:
    """One cell in the place of another: as many as there should be."""
    told = _drop(truth, random)
    return ascending([*told, random.choice(told)]) if told else None


def _reorder(truth: Truth, random: Random) -> Cells | None:
    told = random.sample(truth.cells, len(truth.cells))
    return told if told != truth.cells else None


def _exchange_contents(truth: Truth, random: Random) -> Cells | None:
    if len(truth.cells) < 2:
        return None
    one, other = random.sample(range(len(truth.cells)), 2)
    told = truth.but(one, sealed=truth.cells[other].sealed)
    told[other] = pb.Cell(tag=truth.cells[other].tag, sealed=truth.cells[one].sealed)
    return told


def _move(truth: Truth, random: Random) -> Cells | None:
    """A cell under another tag that is asked for."""
    if len(truth.asked) < 2:
        return None
    at = random.randrange(len(truth.cells))
    tag = random.choice([tag for tag in truth.asked if tag != truth.cells[at].tag])
    return ascending(truth.but(at, tag=tag))


def _inject(truth: Truth, random: Random) -> Cells | None:
    """A cell that nobody asked for: one that is genuine under its tag, or is under no tag at all."""
    forged = pb.Cell(tag=random.randbytes(16), sealed=random.choice(truth.cells).sealed)
    genuine = [cell for cell in truth.appended if cell.tag not in truth.asked]
    return ascending([*truth.cells, random.choice([forged, random.choice(genuine or [forged])])])


def _flip(truth: Truth, random: Random) -> Cells | None:
    at = random.randrange(len(truth.cells))
    field = random.choice(["tag", "sealed", "sealed"])
    octets = bytearray(getattr(truth.cells[at], field))
    octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    return truth.but(at, **{field: bytes(octets)})


def _shorten(truth: Truth, random: Random) -> Cells | None:
    at = random.randrange(len(truth.cells))
    field = random.choice(["tag", "sealed"])
    octets = getattr(truth.cells[at], field)
    return truth.but(at, **{field: octets[: random.randrange(len(octets))]})


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
