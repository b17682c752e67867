"""Parses a batch of messages into one table. Loops over the messages only if a bad one is among them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import json as arrow_json

from privacyplease.ingest.bikes.message_format import FIELDS
from privacyplease.ingest.bikes.station_states import invalid_messages, states
from privacyplease.ingest.bikes.validation import NOT_JSON, find_fault
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage

__all__ = ["parse"]

_PARSE_OPTIONS = arrow_json.ParseOptions(
    explicit_schema=pa.schema({name: field.type for name, field in FIELDS.items()}),
    unexpected_field_behavior="ignore",
)

Positions = npt.NDArray[np.int64]


def parse(messages: Sequence[bytes]) -> ParsedMessages:
    """Parses messages about stations, in the format that the pollers send. A bad one does not affect the others.

    Args:
        messages: JSON objects in UTF-8, one each.

    Returns:
        The states, in the columns of data set `bikes`.
    """
    rows = np.arange(len(messages), dtype=np.int64)
    fields = _read(messages)
    rejects: list[RejectedMessage] = []
    if fields is None:
        fields, rows, rejects = _read_one_by_one(messages)
    good = np.ones(len(rows), bool)
    for mask, fault in invalid_messages(fields):
        rejects += [RejectedMessage(position, *fault) for position in rows[mask & good].tolist()]
        good &= ~mask
    return ParsedMessages(states(fields.filter(pa.array(good))), rows[good], sorted(rejects))


def _read(messages: Sequence[bytes]) -> pa.Table | None:
    """All messages as a table of the format's fields, one row each; None if any of them cannot be parsed.

    Arrow's reader parses a stream of objects, not one per line, so two objects in one message, or one object split over
    two messages, might go unnoticed. But if each message begins with { and ends with }, no message can close what
    another leaves open: then there are as many rows as messages only if each message is one object.
    """
    if not messages:
        return _PARSE_OPTIONS.explicit_schema.empty_table()
    text = b"\n".join((*messages, b""))
    try:
        lines = pa.array(messages, pa.binary()).cast(pa.string())  # fails on anything that is not UTF-8
        if not pc.all(pc.and_(pc.starts_with(lines, "{"), pc.ends_with(lines, "}"))).as_py():
            return None
        table = arrow_json.read_json(pa.BufferReader(text), _one_block(text), _PARSE_OPTIONS)
        table.validate(full=True)  # escapes too must have given valid UTF-8
    except pa.ArrowInvalid:
        return None
    return table if len(table) == len(messages) else None


def _one_block(text: bytes) -> arrow_json.ReadOptions:
    return arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)


def _read_one_by_one(messages: Sequence[bytes]) -> tuple[pa.Table, Positions, list[RejectedMessage]]:
    """Rejects each message that cannot be parsed.

    Only Arrow's reader decides whether it can be, so that a message is judged the same in any batch. Python's JSON
    parser finds the suspects, and the reason.
    """
    lines = [message.strip() for message in messages]
    suspects = {position: fault for position, line in enumerate(lines) if (fault := find_fault(line)) is not None}
    bad = {position: fault for position, fault in suspects.items() if _read([lines[position]]) is None}
    rows = [position for position in range(len(lines)) if position not in bad]
    fields = _read([lines[position] for position in rows])
    if fields is None:
        # Python's parser accepts something that Arrow's does not. No such message is known.
        tables = {position: _read([lines[position]]) for position in rows}
        bad |= {position: NOT_JSON for position, table in tables.items() if table is None}
        rows = [position for position in rows if position not in bad]
        fields = pa.concat_tables([_PARSE_OPTIONS.explicit_schema.empty_table(), *(tables[row] for row in rows)])
    return fields, np.array(rows, np.int64), [RejectedMessage(position, *fault) for position, fault in bad.items()]
