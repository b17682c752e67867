"""Tables of FlatBuffers (https://flatbuffers.dev/internals): as much as the envelopes of Arrow's messages need.

Only what is asked for is read, and nothing is copied. Numbers are little endian.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple


class FlatTable(NamedTuple):
    """A table. Fields are numbered from 0, as in its schema; one that is absent is 0, None or empty.

    All methods raise `struct.error` if what they read is outside the buffer.

    Attributes:
        buffer: All bytes.
        position: Where the table begins.
    """

    buffer: bytes
    position: int

    @classmethod
    def root(cls, buffer: bytes) -> FlatTable:
        """The table that the buffer is about."""
        return cls(buffer, 0)._at(0)

    def number(self, field: int, form: str) -> int:
        """A number, in the notation of `struct`."""
        place = self._place(field)
        return int(_read(form, self.buffer, place)[0]) if place else 0

    def table(self, field: int) -> FlatTable | None:
        """A table."""
        place = self._place(field)
        return self._at(place) if place else None

    def length(self, field: int) -> int:
        """The length of a text or vector."""
        return self.vector(field)[1]

    def tables(self, field: int) -> list[FlatTable]:
        """A vector of tables."""
        begin, length = self.vector(field)
        return [self._at(begin + 4 * number) for number in range(length)]

    def structs(self, field: int, form: str) -> list[tuple[int, ...]]:
        """A vector of structs, in the notation of `struct`."""
        begin, length = self.vector(field)
        end = begin + length * struct.calcsize(form)
        if end > len(self.buffer):
            raise struct.error("a vector ends outside the buffer")
        return list(struct.iter_unpack(form, self.buffer[begin:end]))

    def vector(self, field: int) -> tuple[int, int]:
        """Where a vector's elements begin, and their number; each has at least a byte."""
        place = self._place(field)
        if not place:
            return 0, 0
        begin = place + _read("<I", self.buffer, place)[0]
        (length,) = _read("<I", self.buffer, begin)
        if length > len(self.buffer):
            raise struct.error("a vector is longer than the buffer")
        return begin + 4, length

    def _place(self, field: int) -> int:
        """Where a field's value is; 0 if it is absent."""
        vtable = self.position - _read("<i", self.buffer, self.position)[0]
        entry = 4 + 2 * field
        if entry >= _read("<H", self.buffer, vtable)[0]:
            return 0
        offset: int = _read("<H", self.buffer, vtable + entry)[0]
        return self.position + offset if offset else 0

    def _at(self, place: int) -> FlatTable:
        return FlatTable(self.buffer, place + _read("<I", self.buffer, place)[0])


def _read(form: str, buffer: bytes, place: int) -> tuple[Any, ...]:
    if place < 0:  # `struct` would count from the end
        raise struct.error("a position is outside the buffer")
    return struct.unpack_from(form, buffer, place)
