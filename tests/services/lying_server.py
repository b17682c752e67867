"""A storage server that lies: the real one behind a real gRPC server that changes its answers when it is told to.

Example:
    with serving(url) as storage, lying(storage.stub, Random(1)) as liar, proxying(home, liar.address) as proxy:
        proxy.ingest("wifi", records)
        liar.acknowledge()
        liar.lie = "drop"
        proxy.occupancy.Count(...)  # fails with DATA_LOSS
        assert liar.lied
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

import grpc

from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc

Cells = list[pb.Cell]
Name = tuple[bytes, bytes]


class LyingServer(rpc.StorageServiceServicer):
    """Answers as the server behind it does, but for what `lie` says.

    Attributes:
        address: Where it serves.
        lie: What the next answer with cells is to be changed by: a key of `LIES`, or "" for an honest one. To be set
            before the question is asked: what was acknowledged by then must come.
        lied: Whether an answer was changed since `lie` was set to "".
    """

    address = ""

    def __init__(self, honest: rpc.StorageServiceStub, random: Random) -> None:
        self._honest = honest
        self._random = random
        self._stored: list[Name] = []
        self._snapshots: list[frozenset[Name]] = [frozenset()]
        self._lock = threading.Lock()
        self.lie = ""
        self.lied = False

    @property
    def lie(self) -> str:
        return self._lie

    @lie.setter
    def lie(self, lie: str) -> None:
        with self._lock:
            self._lie, self._acknowledged = lie, list(self._snapshots)

    def acknowledge(self) -> None:
        """Says that the proxy has acknowledged whatever was appended until now: it must come from here on."""
        with self._lock:
            self._snapshots.append(frozenset(self._stored))

    def Append(self, request: pb.AppendRequest, _context: grpc.ServicerContext) -> pb.AppendResponse:  # noqa: N802
        response = self._honest.Append(request)
        with self._lock:
            self._stored += [(cell.tag, cell.cell_id) for cell in request.cells]
        return response

    def Describe(self, request: pb.DescribeRequest, _context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802
        return self._honest.Describe(request)

    def Select(self, request: pb.SelectRequest, _context: grpc.ServicerContext) -> Iterator[pb.SelectResponse]:  # noqa: N802
        with self._lock:
            lie, acknowledged = self._lie, self._acknowledged
        cells = [cell for page in self._honest.Select(request) for cell in page.cells]
        told = LIES[lie](cells, acknowledged, self._random) if lie else None
        if told is not None:
            self.lie, self.lied = "", True
            cells = told
        while cells:  # pages of any size, as a server may choose them
            size = self._random.randint(1, len(cells))
            yield pb.SelectResponse(cells=cells[:size])
            cells = cells[size:]


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


# Each takes an honest answer, ascending, and what was acknowledged at points in time; and returns another answer, or
# None if there is nothing to lie about. What was not acknowledged when the question was asked may honestly be left out,
# so that is no lie.
Lie = Callable[[Cells, list[frozenset[Name]], Random], Cells | None]


def _binding(cells: Cells, snapshots: list[frozenset[Name]]) -> list[int]:
    """Which cells must come."""
    return [at for at, cell in enumerate(cells) if (cell.tag, cell.cell_id) in snapshots[-1]]


def _drop(cells: Cells, snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    binding = _binding(cells, snapshots)
    gone = set(random.sample(binding, min(len(binding), random.choice([1, 1, 2, 5]))))
    return [cell for at, cell in enumerate(cells) if at not in gone] if gone else None


def _drop_tag(cells: Cells, snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    binding = _binding(cells, snapshots)
    gone = cells[random.choice(binding)].tag if binding else b""
    return [cell for cell in cells if cell.tag != gone] if gone else None


def _empty(cells: Cells, snapshots: list[frozenset[Name]], _random: Random) -> Cells | None:
    return [] if _binding(cells, snapshots) else None


def _truncate(cells: Cells, snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    binding = _binding(cells, snapshots)
    return cells[: random.choice(binding)] if binding else None


def _roll_back(cells: Cells, snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    old = random.choice(snapshots[:-1])
    told = [cell for cell in cells if (cell.tag, cell.cell_id) in old]
    lacks = snapshots[-1] - old
    return told if any((cell.tag, cell.cell_id) in lacks for cell in cells) else None


def _repeat(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    if not cells:
        return None
    again = random.choice(cells)
    return sorted([*cells, again], key=_place) if random.random() < 0.5 else [*cells, again]


def _replace(cells: Cells, snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    """One cell in the place of another."""
    told = _drop(cells, snapshots, random)
    return sorted([*told, random.choice(told)], key=_place) if told else None


def _reorder(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    told = list(cells)
    random.shuffle(told)
    return told if told != cells else None


def _exchange_contents(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    if len(cells) < 2:
        return None
    one, other = sorted(random.sample(range(len(cells)), 2))
    told = list(cells)
    told[one], told[other] = (
        _changed(cells[one], sealed=cells[other].sealed),
        _changed(cells[other], sealed=cells[one].sealed),
    )
    return told


def _move(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    """A cell under another tag that is asked for."""
    tags = sorted({cell.tag for cell in cells})
    if len(tags) < 2:
        return None
    at = random.randrange(len(cells))
    tag = random.choice([tag for tag in tags if tag != cells[at].tag])
    return sorted([*cells[:at], _changed(cells[at], tag=tag), *cells[at + 1 :]], key=_place)


def _inject(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    if not cells:
        return None
    forged = _changed(random.choice(cells), cell_id=random.randbytes(16))
    return sorted([*cells, forged], key=_place)


def _flip(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    if not cells:
        return None
    at = random.randrange(len(cells))
    field = random.choice(["tag", "cell_id", "sealed", "sealed"])
    octets = bytearray(getattr(cells[at], field))
    octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    return [*cells[:at], _changed(cells[at], **{field: bytes(octets)}), *cells[at + 1 :]]


def _shorten(cells: Cells, _snapshots: list[frozenset[Name]], random: Random) -> Cells | None:
    if not cells:
        return None
    at = random.randrange(len(cells))
    field = random.choice(["tag", "cell_id", "sealed"])
    octets = getattr(cells[at], field)
    return [*cells[:at], _changed(cells[at], **{field: octets[: random.randrange(len(octets))]}), *cells[at + 1 :]]


LIES: dict[str, Lie] = {
    "drop": _drop,
    "drop a tag": _drop_tag,
    "empty": _empty,
    "truncate": _truncate,
    "roll back": _roll_back,
    "repeat": _repeat,
    "replace": _replace,
    "reorder": _reorder,
    "exchange contents": _exchange_contents,
    "move": _move,
    "inject": _inject,
    "flip a bit": _flip,
    "shorten": _shorten,
}


def _place(cell: pb.Cell) -> Name:
    return cell.tag, cell.cell_id


def _changed(cell: pb.Cell, **fields: bytes) -> pb.Cell:
    return pb.Cell(**{"tag": cell.tag, "cell_id": cell.cell_id, "sealed": cell.sealed} | fields)
