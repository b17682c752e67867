"""A batch of messages becomes one table. No loop runs over good messages, unless a bad one is among them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import json as arrow_json

from privacyplease.ingest.bikes.form import FIELDS
from privacyplease.ingest.bikes.states import faults, states
from privacyplease.ingest.bikes.verdicts import NO_JSON, fault_of
from privacyplease.ingest.parsed import Misfit, Parsed

__all__ = ["parse"]

_FORM = arrow_json.ParseOptions(
    explicit_schema=pa.schema({name: field.type for name, field in FIELDS.items()}),
    unexpected_field_behavior="ignore",
)

Positions = npt.NDArray[np.int64]


def parse(messages: Sequence[bytes]) -> Parsed:
    """Reads messages about stations, in the form that the pollers send. A bad one does not stop the others.

    Args:
        messages: JSON objects in UTF-8, one each.

    Returns:
        The states in the columns of data set `bikes`.
    """
    rows = np.arange(len(messages), dtype=np.int64)
    fields = _read(messages)
    rejects: list[Misfit] = []
    if fields is None:
        fields, rows, rejects = _read_one_by_one(messages)
    good = np.ones(len(rows), bool)
    for where, fault in faults(fields):
        rejects += [Misfit(position, *fault) for position in rows[where & good].tolist()]
        good &= ~where
    return Parsed(states(fields.filter(pa.array(good))), rows[good], sorted(rejects))


def _read(messages: Sequence[bytes]) -> pa.Table | None:
    """All messages, a row each, in the fields of the form; None if not every one can be read.

    Arrow's reader takes a stream of objects, not one a line, so that two objects in a message, or one in two messages,
    might pass for one. Where each message begins with { and ends with }, what one leaves open the next cannot close:
    there are then as many rows as messages only if each message is one object.
    """
    if not messages:
        return _FORM.explicit_schema.empty_table()
    text = b"\n".join((*messages, b""))
    try:
        lines = pa.array(messages, pa.binary()).cast(pa.string())  # refuses what is not UTF-8
        if not pc.all(pc.and_(pc.starts_with(lines, "{"), pc.ends_with(lines, "}"))).as_py():
            return None
        table = arrow_json.read_json(pa.BufferReader(text), _whole(text), _FORM)
        table.validate(full=True)  # its strings are UTF-8 too, where escapes were
    except pa.ArrowInvalid:
        return None
    return table if len(table) == len(messages) else None


def _whole(text: bytes) -> arrow_json.ReadOptions:
    return arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1)


def _read_one_by_one(messages: Sequence[bytes]) -> tuple[pa.Table, Positions, list[Misfit]]:
    """Sets aside each message that cannot be read.

    Whether it can is for Arrow's reader to say, so that it does not depend on the company in which a message comes.
    Python's finds those that are worth asking about, and says what is wrong.
    """
    lines = [message.strip() for message in messages]
    suspects = {position: fault for position, line in enumerate(lines) if (fault := fault_of(line)) is not None}
    bad = {position: fault for position, fault in suspects.items() if _read([lines[position]]) is None}
    rows = [position for position in range(len(lines)) if position not in bad]
    fields = _read([lines[position] for position in rows])
    if fields is None:
        # Python's reader takes what Arrow's refuses. No message is known that comes here.
        alone = {position: _read([lines[position]]) for position in rows}
        bad |= {position: NO_JSON for position, table in alone.items() if table is None}
        rows = [position for position in rows if position not in bad]
        fields = pa.concat_tables([_FORM.explicit_schema.empty_table(), *(alone[position] for position in rows)])
    return fields, np.array(rows, np.int64), [Misfit(position, *fault) for position, fault in bad.items()]
