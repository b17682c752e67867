"""From fields to sessions: columns get their types, and records without who, where, when or how long go aside."""

from datetime import tzinfo
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.rejects import Reject
from privacyplease.ingest.wifi import durations, times
from privacyplease.ingest.wifi.columns import REQUIRED, SCHEMA
from privacyplease.ingest.wifi.faults import Fault
from privacyplease.ingest.wifi.fields import Fields, split
from privacyplease.ingest.wifi.layout import Layout
from privacyplease.ingest.wifi.lines import Lines

__all__ = ["Block", "parse"]

# What access points report for a client that they did not identify.
_NOBODY = pa.array(["", "unknown", "not supported"])


class Block(NamedTuple):
    """The sessions of some consecutive lines.

    Attributes:
        table: n sessions, of the schema `SCHEMA`, in the log's order.
        lines: int64[n], the line of each in the log, from 1.
        rejects: The records that stay out, by line.
    """

    table: pa.Table
    lines: npt.NDArray[np.int64]
    rejects: list[Reject]


def parse(lines: Lines, layout: Layout, zone: tzinfo | None) -> Block:
    """Reads the sessions of a whole block of lines.

    Args:
        lines: The lines.
        layout: How they are laid out.
        zone: The time zone of times that do not tell theirs; None if there is none.
    """
    fields = split(lines, layout)
    starts, start_faults = times.parse(_text(fields, "association_time"), zone)
    lengths, length_faults = durations.parse(_text(fields, "session_duration"))
    endless = Fault(np.flatnonzero(starts + lengths > times.LATEST), "expected a session that ends by the year 9999")
    rejects = _rejects(
        fields,
        {
            "client_mac": [_missing(fields, "client_mac", _NOBODY, "expected a MAC address")],
            "ap_name": [_missing(fields, "ap_name", pa.array([""]), "expected an access point's name")],
            "association_time": start_faults,
            "session_duration": [*length_faults, endless],
        },
    )
    table = _typed(fields, {"association_time": pa.array(starts), "session_duration": pa.array(lengths)})
    good = ~np.isin(fields.lines.numbers, [reject.line for reject in rejects])
    everything = sorted(fields.rejects + rejects, key=lambda reject: reject.line)
    if good.all():
        return Block(table, fields.lines.numbers, everything)
    return Block(table.filter(pa.array(good)), fields.lines.numbers[good], everything)


def _text(fields: Fields, name: str) -> pa.StringArray:
    return pc.utf8_trim_whitespace(fields.table.column(name).combine_chunks())


def _missing(fields: Fields, name: str, values: pa.StringArray, reason: str) -> Fault:
    missing = pc.is_in(pc.utf8_lower(_text(fields, name)), value_set=values)
    return Fault(np.flatnonzero(missing.to_numpy(zero_copy_only=False)), reason)


def _rejects(fields: Fields, faults: dict[str, list[Fault]]) -> list[Reject]:
    """Makes one reject for a line, of the first fault found."""
    first: dict[int, tuple[str, str]] = {}
    for name, found in faults.items():
        for fault in found:
            for row in fault.rows.tolist():
                first.setdefault(row, (name, fault.reason))
    return [Reject(int(fields.lines.numbers[row]), *what, fields.lines.line(row)) for row, what in first.items()]


def _typed(fields: Fields, parsed: dict[str, pa.Array]) -> pa.Table:
    return pa.table(
        [
            parsed[name].cast(kind) if name in parsed else _attribute(fields, name)
            for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
        ],
        schema=SCHEMA,
    )


def _attribute(fields: Fields, name: str) -> pa.Array:
    """Gives a column of text: trimmed, null where it is empty or the log lacks it."""
    if name not in fields.table.column_names:
        return pa.nulls(len(fields.lines), pa.string())
    text = _text(fields, name)
    return text if name in REQUIRED else pc.if_else(pc.equal(text, pa.scalar("")), None, text)
