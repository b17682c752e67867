"""The envelopes of an Arrow IPC stream, checked before Arrow reads them: what they may make it allocate is bounded.

A few kilobytes can describe gigabytes: compressed buffers and their declared lengths, buffers and tables that are
shared, nested types, dictionaries that grow with each batch. Arrow allocates what a stream declares. So the envelopes
of its messages (Arrow columnar format, "Encapsulated message format") are read here first, and everything is refused
that is not sized like plain columns. The content of columns is not looked at.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Protocol

from privacyplease.transport.flat_table import FlatTable

# Far more than any log has. It bounds what a batch or cell of this many columns takes, however few records it has.
MOST_COLUMNS = 512
# The schema, or the lengths of a batch's buffers, of MOST_COLUMNS columns; pandas adds 200 bytes of metadata for each.
MOST_METADATA_BYTES = 256 * 1024
# Values in a dictionary: a column of categories brings all of them with every batch, used or not.
MOST_DICTIONARY_VALUES = 1_048_576
# Batches times columns. Each is an object of about 300 bytes, even if it has no values.
MOST_ARRAYS = 262_144
# Values of the dictionaries in force, summed over all batches: Arrow validates them again with each.
MOST_LOOKUPS = 64 * MOST_DICTIONARY_VALUES

_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3  # Message.fbs: MessageHeader
_TIMESTAMP = 10  # Schema.fbs: Type
_CHUNK_BYTES = 1024 * 1024


class UnboundedStreamError(ValueError):
    """A stream exceeds a limit, or has parts whose size nothing limits; the message says what is expected."""


class MalformedStreamError(ValueError):
    """It is no Arrow IPC stream."""


@dataclass(frozen=True)
class StreamLimits:
    """What a stream may have.

    Attributes:
        batch_records: Records in one batch.
        records: Records in all batches together; None for any number, for a stream that is read bit by bit.
        arrays: Columns in all batches together; None likewise.
        lookups: Values of dictionaries in all batches together; None likewise.
    """

    batch_records: int
    records: int | None = None
    arrays: int | None = None
    lookups: int | None = None

    @classmethod
    def whole(cls, records: int) -> StreamLimits:
        """The limits of a stream that is read as a whole."""
        return cls(records, records, MOST_ARRAYS, MOST_LOOKUPS)


class MessageCheck:
    """Checks the messages of one stream, in order."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._columns = self._records = self._arrays = self._lookups = 0
        self._dictionaries: dict[int, int] = {}  # the number of values of each

    def header(self, prefix: bytes) -> int:
        """The length of the metadata that follows the first eight bytes of a message; 0 at the end of the stream.

        Raises:
            UnboundedStreamError: It is too long.
            MalformedStreamError: This is no message.
        """
        try:
            marker, length = struct.unpack("<Ii", prefix)
        except struct.error as error:
            raise MalformedStreamError("expected an Arrow IPC stream") from error
        if marker != _CONTINUATION or length < 0:
            raise MalformedStreamError("expected an Arrow IPC message of format version 5")
        _require(length, MOST_METADATA_BYTES, "bytes of metadata in a message")
        return int(length)

    def message(self, metadata: bytes) -> int:
        """Checks a message by its metadata; returns how many bytes its body has.

        Raises:
            UnboundedStreamError: Reading it could take much more memory than it has bytes.
            MalformedStreamError: It is no message.
        """
        try:
            return self._message(metadata)
        except struct.error as error:
            raise MalformedStreamError("expected an Arrow IPC stream") from error

    def _message(self, metadata: bytes) -> int:
        message = FlatTable.root(metadata)
        header, body = message.table(2), message.number(3, "<q")
        if header is None or body < 0:
            raise MalformedStreamError("expected a whole Arrow IPC message")
        kind = message.number(1, "<B")
        texts = _entries_bytes(message.tables(4))
        if kind == _SCHEMA:
            fields = header.tables(1)
            self._columns = len(fields)
            texts += _entries_bytes(header.tables(2)) + _check_fields(fields)
        elif kind == _RECORDS:
            self._count(_check_batch(header, body))
        elif kind == _DICTIONARY:
            self._dictionaries[header.number(0, "<q")] = _check_dictionary(header, body)
        else:
            raise UnboundedStreamError("expected a schema, dictionaries and record batches")
        _require(texts, len(metadata), "bytes of names and metadata")  # more only if they are shared
        return body

    def _count(self, records: int) -> None:
        limits = self._limits
        self._records += records
        self._arrays += self._columns
        self._lookups += sum(self._dictionaries.values())
        _require(self._records, limits.records, "records")
        _require(records, limits.batch_records, "records")
        _require(self._arrays, limits.arrays, "columns in all batches together")
        _require(self._lookups, limits.lookups, "values of dictionaries in all batches together")


class Readable(Protocol):
    """A file of bytes that can be read."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class CheckedStream(io.RawIOBase):
    """A stream that Arrow may read: each message is checked before its first byte is passed on.

    Memory is taken for bytes that have arrived, never for a length that is only announced. Reading raises as
    `MessageCheck`.
    """

    def __init__(self, file: Readable, limits: StreamLimits) -> None:
        super().__init__()
        self._file = file
        self._check = MessageCheck(limits)
        self._head, self._body = b"", 0  # of the current message: bytes to pass on, and the number of those that follow
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; fewer than asked for only at the end."""
        parts: list[bytes] = []
        missing = size if size >= 0 else 1 << 62
        while missing and (part := self._part(min(missing, _CHUNK_BYTES))):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _part(self, most: int) -> bytes:
        if not self._head and not self._body and not self._ended:
            self._begin()
        if self._head:
            part, self._head = self._head[:most], self._head[most:]
            return part
        part = self._file.read(min(most, self._body)) if self._body else b""
        self._body -= len(part)
        return part

    def _begin(self) -> None:
        """Reads and checks the head of the next message. Of one that is cut off Arrow says so."""
        self._head = self._file.read(8)
        length = self._check.header(self._head) if len(self._head) == 8 else 0
        metadata = self._file.read(length) if length else b""
        self._head += metadata
        self._ended = not length or len(metadata) < length
        if not self._ended:
            self._body = self._check.message(metadata)


def _check_fields(fields: list[FlatTable]) -> int:
    """Checks a schema's fields; returns the length of their texts."""
    _require(len(fields), MOST_COLUMNS, "columns")
    texts = 0
    for field in fields:
        if field.length(5):
            raise UnboundedStreamError("expected columns without nested values")
        zone = field.table(3) if field.number(2, "<B") == _TIMESTAMP else None
        texts += field.length(0) + _entries_bytes(field.tables(6)) + (zone.length(1) if zone else 0)
    return texts


def _check_dictionary(dictionary: FlatTable, body: int) -> int:
    """Checks a dictionary; returns its number of values."""
    if dictionary.number(2, "<B"):  # after each, Arrow makes another copy of the whole dictionary
        raise UnboundedStreamError("expected whole dictionaries, got additions to one")
    values = dictionary.table(1)
    if values is None:
        raise MalformedStreamError("expected a dictionary with values")
    count = _check_batch(values, body)
    _require(count, MOST_DICTIONARY_VALUES, "values in a dictionary")
    return count


def _check_batch(batch: FlatTable, body: int) -> int:
    """Checks a batch's buffers; returns its number of records."""
    if batch.table(3) is not None:  # the compressed lengths say nothing about what they become
        raise UnboundedStreamError("expected buffers without compression")
    records = batch.number(0, "<q")
    lengths = [length for _, length in batch.structs(2, "<qq")]
    if records < 0 or min(lengths, default=0) < 0:
        raise MalformedStreamError("expected lengths of at least 0")
    _require(sum(lengths), body, "bytes in the buffers of a batch")  # more only if they overlap
    return records


def _entries_bytes(entries: list[FlatTable]) -> int:
    """The length of keys and values."""
    return sum(entry.length(0) + entry.length(1) for entry in entries)


def _require(count: int, most: int | None, what: str) -> None:
    if most is not None and count > most:
        raise UnboundedStreamError(f"expected at most {most:,} {what}, got {count:,}")
