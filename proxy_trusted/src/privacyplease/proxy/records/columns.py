"""The types of columns: how a value is read, stored in a cell, and shown.

`read` converts a column as received (typed, or text in the type's notation) to the stored form, and tells which rows
are bad. `show` converts the stored form to what clients get. Both work on whole columns.

>>> read(pa.array(["AA-BB-CC-DD-EE-FF", "aabb.ccdd.eeff", "bogus", None]), ColumnType.MAC).bad.tolist()
[False, False, True, False]
>>> show(pa.array([0xAABBCCDDEEFF]), ColumnType.MAC).to_pylist()
['aa:bb:cc:dd:ee:ff']
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MAC_DIGITS = 12
TIMESTAMP = pa.timestamp("ms", tz="UTC")
DURATION = pa.duration("ms")

# The three notations in use, and plain digits; a separator stands between all groups or none.
_MAC = (
    r"^(?:[0-9a-f]{12}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}"
    r"|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}|(?:[0-9a-f]{4}-){2}[0-9a-f]{4}|[0-9a-f]{6}-[0-9a-f]{6})$"
)
_PLAIN_MAC = re.compile(_MAC, re.ASCII | re.IGNORECASE)
_NO_SEPARATORS = str.maketrans("", "", ":.-")
_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_ISO_8601 = rf"^{_DATE}[T ]{_CLOCK}:[0-5]\d(?:\.\d{{1,9}})?(?:Z|[+-](?:{_CLOCK}|(?:[01]\d|2[0-3])[0-5]\d))$"
_SECONDS = r"^\d{1,12}(?:\.\d{1,3})?$"
_INTEGER = r"^[+-]?\d{1,18}$"
_FLOAT = r"^[+-]?\d{1,17}(?:\.\d{1,17})?(?:[eE][+-]?\d{1,3})?$"
_BOOLEAN = r"^(?:true|false)$"

Mask = npt.NDArray[np.bool_]


class ColumnType(StrEnum):
    """The type of a column."""

    MAC = "mac"
    STRING = "string"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"

    @property
    def stored(self) -> pa.DataType:
        """The type in a cell. A MAC address is stored as a number of 48 bits."""
        return _STORED[self]

    @property
    def shown(self) -> pa.DataType:
        """The type that clients get."""
        return pa.string() if self is ColumnType.MAC else self.stored

    @property
    def expected(self) -> str:
        """What a value must look like, for error messages."""
        return _EXPECTED[self]


_STORED = {
    ColumnType.MAC: pa.int64(),
    ColumnType.STRING: pa.string(),
    ColumnType.TIMESTAMP: TIMESTAMP,
    ColumnType.DURATION: DURATION,
    ColumnType.INT: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.BOOL: pa.bool_(),
}

_EXPECTED = {
    ColumnType.MAC: "expected a MAC address of 12 hexadecimal digits",
    ColumnType.STRING: "expected text",
    ColumnType.TIMESTAMP: "expected an ISO 8601 time with a zone",
    ColumnType.DURATION: "expected a duration in seconds",
    ColumnType.INT: "expected a whole number",
    ColumnType.FLOAT: "expected a number",
    ColumnType.BOOL: "expected true or false",
}


class ParsedColumn(NamedTuple):
    """A column, read as its type.

    Attributes:
        values: n values in stored form, null where the input was null or bad.
        bad: bool[n], true where there was a value that cannot be read as the type.
    """

    values: pa.Array
    bad: Mask


def read(column: pa.Array | pa.ChunkedArray, kind: ColumnType) -> ParsedColumn:
    """Reads a column of any Arrow type as the type.

    Text is parsed once for each distinct value.

    Raises:
        pa.ArrowInvalid, pa.ArrowNotImplementedError: The Arrow type cannot be converted to this type in any row.
    """
    if pa.types.is_dictionary(column.type):  # chunk by chunk: to combine them, Arrow would copy each chunk's dictionary
        column = column.cast(column.type.value_type)
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(values.type):
        return ParsedColumn(values.cast(kind.stored), np.zeros(len(values), bool))
    if kind is ColumnType.STRING:
        return ParsedColumn(values.cast(pa.string()), np.zeros(len(values), bool))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _read_text(values.cast(pa.string()), kind)
    return _read_typed(values, kind)


def show(column: pa.Array | pa.ChunkedArray, kind: ColumnType) -> pa.Array | pa.ChunkedArray:
    """Converts stored values to the form that clients get."""
    if kind is not ColumnType.MAC:
        return column
    distinct = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = distinct.dictionary_encode()
    return _mac_text(encoded.dictionary).take(encoded.indices)


def read_one(text: str, kind: ColumnType) -> pa.Scalar:
    """Reads one text as the type, in stored form; null if it is bad.

    Every question names a subject or a place, so the common cases avoid Arrow, which needs a tenth of a millisecond
    even for a single value.
    """
    if kind is ColumnType.STRING:
        return pa.scalar(text, kind.stored)
    if kind is ColumnType.MAC and _PLAIN_MAC.fullmatch(text):
        return pa.scalar(int(text.translate(_NO_SEPARATORS), 16), kind.stored)
    return read(pa.array([text], pa.string()), kind).values[0]


def show_one(value: pa.Scalar, kind: ColumnType) -> object:
    """Converts one stored value, which is not null, to the form that clients get."""
    stored = value.as_py()
    if kind is not ColumnType.MAC:
        return stored
    digits = f"{stored:0{MAC_DIGITS}x}"
    return ":".join(digits[start : start + 2] for start in range(0, MAC_DIGITS, 2))


def _read_text(values: pa.StringArray, kind: ColumnType) -> ParsedColumn:
    encoded = values.dictionary_encode()
    text = pc.utf8_trim_whitespace(encoded.dictionary)
    parsed = _PARSERS[kind](text)
    result = parsed.take(encoded.indices)
    return ParsedColumn(result, _lost(values, result))


def _read_typed(values: pa.Array, kind: ColumnType) -> ParsedColumn:
    """Reads numbers and times. A number as a duration means seconds."""
    if kind is ColumnType.TIMESTAMP and not (pa.types.is_timestamp(values.type) and values.type.tz):
        raise pa.ArrowInvalid("expected times with a zone")
    if kind is ColumnType.MAC and not pa.types.is_integer(values.type):
        raise pa.ArrowInvalid("expected text or 48-bit numbers")
    exact = values
    if kind is ColumnType.DURATION and not pa.types.is_duration(values.type):
        exact = _whole(pc.trunc(pc.multiply(values.cast(pa.float64()), 1000.0)))
    if kind is ColumnType.INT and pa.types.is_floating(values.type):
        exact = _whole(values.cast(pa.float64()))
    # Times are truncated to milliseconds, as types.proto says; a time that does not fit is an error.
    stored = exact.cast(options=pc.CastOptions(kind.stored, allow_time_truncate=True))
    if kind is ColumnType.MAC:
        stored = _where(pc.and_(pc.greater_equal(stored, 0), pc.less(stored, 1 << 48)), stored)
    return ParsedColumn(stored, _lost(values, stored))


def _lost(values: pa.Array, stored: pa.Array) -> Mask:
    """Where there was a value but none is stored."""
    lost: Mask = pc.and_(values.is_valid(), stored.is_null()).to_numpy(zero_copy_only=False)
    return lost


def _where(condition: pa.BooleanArray, values: pa.Array) -> pa.Array:
    """The values where the condition holds, null elsewhere."""
    return pc.if_else(condition, values, pa.scalar(None, values.type))


def _whole(numbers: pa.DoubleArray) -> pa.Int64Array:
    """The numbers that are whole and exact in a 64-bit float; null elsewhere."""
    exact = pc.and_(pc.less_equal(pc.abs(numbers), 2.0**53), pc.equal(numbers, pc.trunc(numbers)))
    return _where(exact, numbers).cast(pa.int64())


def _matching(text: pa.StringArray, pattern: str) -> pa.StringArray:
    """The text where it matches, null elsewhere."""
    return _where(pc.match_substring_regex(text, pattern), text)


def _parse_mac(text: pa.StringArray) -> pa.Int64Array:
    good = _matching(pc.utf8_lower(text), _MAC)
    digits = pc.replace_substring_regex(good, "[:.-]", "").drop_null()
    characters = np.frombuffer(digits.buffers()[2] or b"", np.uint8)[: len(digits) * MAC_DIGITS]
    numbers = _NIBBLE[characters.reshape(-1, MAC_DIGITS)] @ _PLACE_VALUE
    return pc.replace_with_mask(pa.nulls(len(text), pa.int64()), good.is_valid(), pa.array(numbers, pa.int64()))


def _mac_text(numbers: pa.Int64Array) -> pa.StringArray:
    values = numbers.to_numpy(zero_copy_only=False)
    nibbles = (values[:, None] // _PLACE_VALUE) % 16
    text = np.full((len(values), 17), ord(":"), np.uint8)
    text[:, [0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16]] = _HEX[nibbles]
    offsets = np.arange(len(values) + 1, dtype=np.int32) * 17
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))


def _parse_timestamp(text: pa.StringArray) -> pa.TimestampArray:
    good = _matching(text, _ISO_8601)
    real = _where(pa.array(_is_real_date(good)), good)
    return pc.replace_substring_regex(real, r"(\.\d{3})\d+", r"\1").cast(TIMESTAMP)


def _is_real_date(text: pa.StringArray) -> Mask:
    """Where the date exists, unlike 30 February."""
    year, month, day = (_digits(text, start, stop) for start, stop in ((0, 4), (5, 7), (8, 10)))
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1)
    length = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    exists: Mask = day <= length
    return exists


def _digits(text: pa.StringArray, start: int, stop: int) -> npt.NDArray[np.int64]:
    """The number at fixed positions of each text; 1 where the text is null."""
    digits = pc.utf8_slice_codeunits(text, start, stop).fill_null("1")
    return np.asarray(digits.cast(pa.int64()), np.int64)


def _parse_duration(text: pa.StringArray) -> pa.DurationArray:
    seconds = _matching(text, _SECONDS).cast(pa.float64())
    return pc.round(pc.multiply(seconds, 1000.0)).cast(pa.int64()).cast(DURATION)


def _parse_int(text: pa.StringArray) -> pa.Int64Array:
    return pc.utf8_ltrim(_matching(text, _INTEGER), "+").cast(pa.int64())


def _parse_float(text: pa.StringArray) -> pa.DoubleArray:
    numbers = _matching(text, _FLOAT).cast(pa.float64())
    return _where(pc.is_finite(numbers), numbers)


def _parse_bool(text: pa.StringArray) -> pa.BooleanArray:
    return pc.equal(_matching(pc.utf8_lower(text), _BOOLEAN), "true")


_PARSERS = {
    ColumnType.MAC: _parse_mac,
    ColumnType.TIMESTAMP: _parse_timestamp,
    ColumnType.DURATION: _parse_duration,
    ColumnType.INT: _parse_int,
    ColumnType.FLOAT: _parse_float,
    ColumnType.BOOL: _parse_bool,
}

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_NIBBLE = np.zeros(256, np.int64)
_NIBBLE[_HEX] = np.arange(16)
_PLACE_VALUE = 16 ** np.arange(MAC_DIGITS - 1, -1, -1, dtype=np.int64)
