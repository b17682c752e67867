"""A trace: what the storage server sees, call by call, and nothing else.

Tags are numbered in the order in which they were first seen: a pseudorandom tag reveals only whether it equals another,
and numbers compress. A trace is stored as JSON lines, one per call.

>>> call = TracedCall(at=0, name="Append", cells=[TracedCell(7, 512)])
>>> TracedCall.parsed(call.line()) == call
True
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

HOUR = 3_600_000
DAY = 24 * HOUR


class TracedCell(NamedTuple):
    """A cell that was sent or returned: the number of its tag, and the length of its ciphertext."""

    tag: int
    length: int


class TracedRow(NamedTuple):
    """What the deterministic control store shows of a row: equality of two columns, order of two others.

    Attributes:
        device: Number of the deterministic ciphertext of its device.
        place: Likewise for its place.
        start: The order-preserving ciphertext of its start.
        end: Likewise for its end.
    """

    device: int
    place: int
    start: int
    end: int


@dataclass
class TracedCall:
    """One call of the proxy to the storage server.

    Attributes:
        at: When it came, in ms since 1970, by the server's clock.
        name: The name of the method, such as "Select".
        tags: The tags that the request names, in the order sent.
        cells: The cells of the request or, if it has none, of the answer, in the order sent.
        pages: How many cells each message of the answer has.
        rows: Rows stored or returned, only for a control store.
        bounds: Order-preserving bounds of a question; likewise.
    """

    at: int
    name: str
    tags: list[int] = field(default_factory=list)
    cells: list[TracedCell] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    rows: list[TracedRow] = field(default_factory=list)
    bounds: tuple[int, int] | None = None

    @property
    def length(self) -> int:
        """The total length of its cells, in bytes."""
        return sum(cell.length for cell in self.cells)

    def line(self) -> str:
        """As a line of JSON; empty fields are left out."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))

    @classmethod
    def parsed(cls, line: str) -> TracedCall:
        """The inverse of `line`."""
        values = {"at": 0, **json.loads(line)}
        cells = [TracedCell(*fields) for fields in values.pop("cells", ())]
        rows = [TracedRow(*fields) for fields in values.pop("rows", ())]
        bounds = values.pop("bounds", None)
        return cls(cells=cells, rows=rows, bounds=tuple(bounds) if bounds else None, **values)


@dataclass(frozen=True)
class CallTrace:
    """Calls in the order in which they came."""

    calls: list[TracedCall]

    def named(self, *names: str) -> Iterator[TracedCall]:
        """The calls of some methods."""
        return (call for call in self.calls if call.name in names)

    def between(self, start: int, end: int) -> CallTrace:
        """The calls in [start, end)."""
        return CallTrace([call for call in self.calls if start <= call.at < end])

    def write(self, file: Path) -> None:
        """Writes the trace, compressed; the same trace gives the same bytes."""
        write_lines(file, (call.line() for call in self.calls))

    @classmethod
    def read(cls, file: Path) -> CallTrace:
        """Reads what `write` wrote."""
        return cls([TracedCall.parsed(line) for line in read_lines(file)])


def write_lines(file: Path, lines: Iterable[str]) -> None:
    """Writes lines, compressed."""
    text = "".join(f"{line}\n" for line in lines)
    file.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def read_lines(file: Path) -> list[str]:
    """Reads what `write_lines` wrote."""
    return gzip.decompress(file.read_bytes()).decode().splitlines()
