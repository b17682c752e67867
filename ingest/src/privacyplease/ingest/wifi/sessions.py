"""Turns fields into sessions: gives columns their types, and rejects records that lack who, where, when or how long."""

from datetime import timedelta, tzinfo
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.parsing import RejectedLine
from privacyplease.ingest.wifi import durations, times
from privacyplease.ingest.wifi.columns import REQUIRED, SCHEMA, InvalidRows
from privacyplease.ingest.wifi.fields import Fields, split
from privacyplease.ingest.wifi.layout import Layout
from privacyplease.ingest.wifi.lines import LogLines

__all__ = ["LONGEST", "Block", "parse"]

# What access points report for a client that they have not identified.
_UNIDENTIFIED = pa.array(["", "unknown", "not supported"])

# The address of no station: all zeros, or one of a group (IEEE 802, the lowest bit of the first octet) as broadcast is.
_ZERO_OR_GROUP = r"(?i)^(?:(?:[:.-]?0){12}|[0-9a-f][13579bdf](?:[:.-]?[0-9a-f]){10})$"
_NO_STATION = "expected the MAC address of one device, got all zeros, a group or broadcast"

LONGEST = timedelta(days=400)
"""A longer session is taken for an error, unless another limit is given."""

_UNENDED = "expected a line that ends: the log was cut short, or is still being written"
_TOO_LATE = "expected a session that ends by the year 9999"


class Block(NamedTuple):
    """The sessions of some consecutive lines.

    Attributes:
        table: n sessions, of the schema `SCHEMA`, in the log's order.
        records: The n lines that they come from.
        rejects: The lines that were rejected, in order.
    """

    table: pa.Table
    records: LogLines
    rejects: list[RejectedLine]

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """int64[n], the line of each session in the log, from 1."""
        return self.records.numbers


def parse(lines: LogLines, layout: Layout, zone: tzinfo | None, longest: timedelta = LONGEST) -> Block:
    """Parses the sessions of a whole block of lines.

    Args:
        lines: The lines.
        layout: Their layout.
        zone: The time zone of times that do not name theirs; None if there is none.
        longest: What a session lasts at most; a longer one is likely to be in another unit.
    """
    if not lines.ended:
        return _unended(lines)
    fields = split(lines, layout)
    starts, invalid_starts = times.parse(_text(fields, "association_time"), zone)
    lengths, invalid_lengths = durations.parse(_text(fields, "session_duration"))
    too_long = InvalidRows(np.flatnonzero(lengths > longest // timedelta(milliseconds=1)), _too_long(longest))
    too_late = InvalidRows(np.flatnonzero(starts + lengths > times.LATEST), _TOO_LATE)
    rejects = _rejects(
        fields,
        {
            "client_mac": [
                _missing(fields, "client_mac", _UNIDENTIFIED, "expected a MAC address, got none"),
                _not_a_station(fields),
            ],
            "ap_name": [_missing(fields, "ap_name", pa.array([""]), "expected the name of an access point, got none")],
            "association_time": invalid_starts,
            "session_duration": [*invalid_lengths, too_long, too_late],
        },
    )
    table = _typed(fields, {"association_time": pa.array(starts), "session_duration": pa.array(lengths)})
    good = ~np.isin(fields.lines.numbers, [reject.line for reject in rejects])
    all_rejects = sorted(fields.rejects + rejects, key=lambda reject: reject.line)
    if good.all():
        return Block(table, fields.lines, all_rejects)
    return Block(table.filter(pa.array(good)), fields.lines.only(good), all_rejects)


def _unended(lines: LogLines) -> Block:
    """Sets a last line without its end aside: what is written of it may be a shorter name, or fewer seconds."""
    nothing = lines.only(np.zeros(len(lines), np.bool_))
    rejects = [
        RejectedLine(int(number), "record", _UNENDED, text)
        for index, number in enumerate(lines.numbers)
        if (text := lines.line(index))
    ]
    return Block(SCHEMA.empty_table(), nothing, rejects)


def _text(fields: Fields, name: str) -> pa.StringArray:
    return pc.utf8_trim_whitespace(fields.table.column(name).combine_chunks())


def _missing(fields: Fields, name: str, values: pa.StringArray, reason: str) -> InvalidRows:
    missing = pc.is_in(pc.utf8_lower(_text(fields, name)), value_set=values)
    return InvalidRows(np.flatnonzero(missing.to_numpy(zero_copy_only=False)), reason)


def _not_a_station(fields: Fields) -> InvalidRows:
    found = pc.match_substring_regex(_text(fields, "client_mac"), _ZERO_OR_GROUP)
    return InvalidRows(np.flatnonzero(found.to_numpy(zero_copy_only=False)), _NO_STATION)


def _too_long(longest: timedelta) -> str:
    return f"expected a duration of at most {longest / timedelta(days=1):g} days: is it in another unit?"


def _rejects(fields: Fields, invalid: dict[str, list[InvalidRows]]) -> list[RejectedLine]:
    """Rejects each line once, for the first reason found."""
    first: dict[int, tuple[str, str]] = {}
    for name, groups in invalid.items():
        for group in groups:
            for row in group.rows.tolist():
                first.setdefault(row, (name, group.reason))
    return [
        RejectedLine(int(fields.lines.numbers[row]), *cause, fields.lines.line(row)) for row, cause in first.items()
    ]


def _typed(fields: Fields, parsed: dict[str, pa.Array]) -> pa.Table:
    return pa.table(
        [
            parsed[name].cast(kind) if name in parsed else _attribute(fields, name)
            for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
        ],
        schema=SCHEMA,
    )


def _attribute(fields: Fields, name: str) -> pa.Array:
    """A column of text: trimmed, null where it is empty or the log lacks the column."""
    if name not in fields.table.column_names:
        return pa.nulls(len(fields.lines), pa.string())
    text = _text(fields, name)
    return text if name in REQUIRED else pc.if_else(pc.equal(text, pa.scalar("")), None, text)
