"""Divides a log into blocks of whole lines."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_LINE_BYTES", "LogLines", "blocks"]

MAX_LINE_BYTES = 1 << 20
"""A longer line is truncated, and then rejected. This bounds memory when a file without newlines is read."""


def blocks(chunks: Iterable[bytes], first: int = 1) -> Iterator["LogLines"]:
    """Regroups chunks of bytes into blocks of whole lines.

    Args:
        chunks: The bytes of the log, divided anywhere.
        first: The number of the first line.
    """
    rest = b""
    for chunk in chunks:
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield (lines := LogLines.of(rest + head, first))
            first += len(lines)
            rest = tail
        else:
            rest = (rest + tail)[:MAX_LINE_BYTES]
    if rest:
        yield replace(LogLines.of(rest, first), ended=False)


@dataclass(frozen=True, eq=False)
class LogLines:
    """Some lines of one block, each ended by a newline.

    Attributes:
        block: The whole block's text.
        starts: int64[n], where each line starts in the block.
        ends: int64[n], where its newline is.
        numbers: int64[n], its number in the log, from 1, ascending.
        ended: Whether the log has that newline; False only for the last line of one that ends without.
    """

    block: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    ended: bool = True

    @classmethod
    def of(cls, text: bytes, first: int) -> Self:
        """Finds the lines of a text without its final newline.

        CRLF counts as a newline, and a byte order mark, which a log has where another was appended, as nothing.
        """
        block = text + b"\n"
        if BOM_UTF8 in block:
            block = block.replace(b"\n" + BOM_UTF8, b"\n").removeprefix(BOM_UTF8)
        if b"\r" in block:  # ten times faster than `replace`, and usually false
            block = block.replace(b"\r\n", b"\n")
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        starts = np.concatenate(([0], ends[:-1] + 1))
        return cls(block, starts, ends, np.arange(first, first + len(ends)))

    @property
    def codes(self) -> npt.NDArray[np.uint8]:
        """uint8[bytes], the whole block; a view."""
        return np.frombuffer(self.block, np.uint8)

    def __len__(self) -> int:
        return len(self.starts)

    def only(self, wanted: npt.NDArray[np.bool_]) -> Self:
        """Keeps only the wanted lines (bool[n])."""
        if wanted.all():
            return self
        return replace(self, starts=self.starts[wanted], ends=self.ends[wanted], numbers=self.numbers[wanted])

    def part(self, first: int, stop: int) -> Self:
        """The lines numbered from `first` until before `stop`, as a block of their own."""
        text = self.only((self.numbers >= first) & (self.numbers < stop)).pack()
        return self.of(text.removesuffix(b"\n"), first)

    def pack(self) -> bytes:
        """Gives these lines, and no others of the block, as one text."""
        if (self.ends - self.starts + 1).sum() == len(self.block):
            return self.block
        edges = np.zeros(len(self.block) + 1, np.int8)
        edges[self.starts] += 1
        edges[self.ends + 1] -= 1
        wanted = np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)
        return self.codes[wanted].tobytes()

    def line(self, index: int) -> str:
        """Gives one line without its newline; bytes that are not UTF-8 become surrogate escapes."""
        return self.block[self.starts[index] : self.ends[index]].decode(errors="surrogateescape")
