r"""Renders sessions in the stream format: one message each, its fields separated by tabs, in the order of the export.

>>> import io
>>> from privacyplease.ingest import wifi
>>> [block] = wifi.read(io.BytesIO(b'''Client MAC Address,AP Name,Association Time,Session Duration
... 02FB.AE12.7E8D,ap-14,2024-10-01T00:00:00+09:00,3605
... '''))
>>> messages = render(block.table)
>>> messages.keys[0].as_py(), messages.values[0].as_py().split(b"\t")[1:5]
('02:fb:ae:12:7e:8d', [b'02FB.AE12.7E8D', b'Mon Sep 30 15:00:00 UTC 2024', b'', b'ap-14'])
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.wifi.columns import STREAM_COLUMNS, STREAM_FIELDS

__all__ = ["SessionMessages", "render"]

_FIELDS = tuple(column.name for column in STREAM_COLUMNS[: min(STREAM_FIELDS)])

# The notations that the proxy reads (docs/DATASETS.md).
_MAC = (
    r"^(?:[0-9a-f]{12}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}"
    r"|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}|(?:[0-9a-f]{4}-){2}[0-9a-f]{4}|[0-9a-f]{6}-[0-9a-f]{6})$"
)
_PAIRS = "(..)" * 6


class SessionMessages(NamedTuple):
    """Sessions as messages.

    Attributes:
        times: int64[n], association times, ms since the epoch, UTC.
        keys: string[n], the devices: MAC addresses in lower case with colons; anything else unchanged.
        values: binary[n], the lines, without a newline.
    """

    times: npt.NDArray[np.int64]
    keys: pa.Array
    values: pa.Array


def render(table: pa.Table) -> SessionMessages:
    """Renders a table of the schema `privacyplease.ingest.wifi.SCHEMA`."""
    times = table["association_time"].combine_chunks()
    fields = [_field(name, table[name].combine_chunks()) for name in _FIELDS]
    # The fifteenth field is present only where a record has an ID.
    last = table["record_id"].combine_chunks()
    fields.append(pc.if_else(last.is_null(), None, _text(last)))
    lines = pc.binary_join_element_wise(*fields, pa.scalar("\t"), null_handling="skip")
    return SessionMessages(np.asarray(times.cast(pa.int64())), _devices(table["client_mac"]), lines.cast(pa.binary()))


def _field(name: str, values: pa.Array) -> pa.Array:
    if name == "association_time":
        return _times(values)
    return _durations(values) if name == "session_duration" else _text(values)


def _devices(column: pa.ChunkedArray) -> pa.Array:
    coded = column.combine_chunks().dictionary_encode()
    lower = pc.utf8_lower(coded.dictionary)
    digits = pc.replace_substring_regex(lower, "[:.-]", "")
    canonical = pc.replace_substring_regex(digits, _PAIRS, r"\1:\2:\3:\4:\5:\6")
    return pc.if_else(pc.match_substring_regex(lower, _MAC), canonical, coded.dictionary).take(coded.indices)


def _text(values: pa.Array) -> pa.Array:
    # The format cannot represent these within a field.
    values = pc.replace_substring_regex(pc.fill_null(values, ""), r"[\t\r\n]", " ")
    doubled = pc.replace_substring(values, '"', '""')
    quoted = pc.binary_join_element_wise(pa.scalar('"'), doubled, pa.scalar('"'), pa.scalar(""))
    return pc.if_else(pc.match_substring(values, '"'), quoted, values)


def _times(values: pa.Array) -> pa.Array:
    """As Cisco writes them, in whole seconds; in ISO 8601 where there is a fraction."""
    seconds = pc.floor_temporal(values, unit="second")
    cisco = pc.strftime(seconds.cast(pa.timestamp("s", "UTC")), format="%a %b %d %H:%M:%S UTC %Y", locale="C")
    whole = pc.equal(seconds, values)
    if pc.all(whole).as_py() in (True, None):
        return cisco
    return pc.if_else(whole, cisco, pc.strftime(values, format="%Y-%m-%dT%H:%M:%SZ", locale="C"))


def _durations(values: pa.Array) -> pa.Array:
    """As Cisco writes them: `1 hrs 0 min 5 sec`, starting with the first unit that is not zero."""
    coded = values.cast(pa.int64()).dictionary_encode()  # many sessions have the same duration
    seconds = pc.divide(coded.dictionary, 1_000)
    units = [_unit(seconds, *each) for each in (("days", 86_400, 0), ("hrs", 3_600, 24), ("min", 60, 60))]
    last = pc.binary_join_element_wise(_remainder(seconds, 60).cast(pa.string()), pa.scalar("sec"), pa.scalar(" "))
    return pc.binary_join_element_wise(*units, last, pa.scalar(" "), null_handling="skip").take(coded.indices)


def _unit(seconds: pa.Array, name: str, size: int, most: int) -> pa.Array:
    count = pc.divide(seconds, size)
    shown = _remainder(count, most) if most else count
    text = pc.binary_join_element_wise(shown.cast(pa.string()), pa.scalar(name), pa.scalar(" "))
    return pc.if_else(pc.greater(count, 0), text, None)


def _remainder(values: pa.Array, divisor: int) -> pa.Array:
    return pc.subtract(values, pc.multiply(pc.divide(values, divisor), divisor))
