"""Sessions in a form that tests can compare."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

MAC = re.compile(r"\b[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b", re.I)
"""A MAC address in any notation, to search output that must not contain one."""

Session = tuple[str, str, int, int]


def longest(table: pa.Table) -> set[Session]:
    """The sessions of a table, each with its longest duration: device, place, start and duration, both in ms."""
    durations: dict[tuple[str, str, int], int] = {}
    starts = np.asarray(table["association_time"].cast(pa.int64())).tolist()
    lengths = np.asarray(table["session_duration"].cast(pa.int64())).tolist()
    rows = zip(table["client_mac"].to_pylist(), table["ap_name"].to_pylist(), starts, lengths, strict=True)
    for mac, place, start, length in rows:
        durations[mac, place, start] = max(durations.get((mac, place, start), 0), length)
    return {(*session, length) for session, length in durations.items()}
