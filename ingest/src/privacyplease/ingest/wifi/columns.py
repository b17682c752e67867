"""The columns of a WiFi session log: names, titles in the log, parsed types, and which rows of one are invalid."""

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "COLUMNS",
    "REQUIRED",
    "SCHEMA",
    "STREAM_COLUMNS",
    "STREAM_FIELDS",
    "InvalidRows",
    "LogColumn",
    "column_titled",
    "is_canonical",
]


class LogColumn(NamedTuple):
    """A column of the log: its name in our tables, its title in the log, and alternative titles."""

    name: str
    title: str
    aliases: tuple[str, ...] = ()


class InvalidRows(NamedTuple):
    """Rows of a column that are invalid for the same reason.

    Attributes:
        rows: int64[k], the invalid rows.
        reason: What was expected; never holds a value.
    """

    rows: npt.NDArray[np.int64]
    reason: str


# The columns of the stream format, in its order: they never change, since it has no header. Cisco Prime exports them in
# the same order.
STREAM_COLUMNS = (
    LogColumn("client_ip", "Client IP Address", ("Client IP", "IP Address")),
    LogColumn("client_mac", "Client MAC Address", ("Client MAC", "MAC Address")),
    LogColumn("association_time", "Association Time", ("Session Start Time", "Start Time")),
    LogColumn("vendor", "Vendor", ("Client Vendor",)),
    LogColumn("ap_name", "AP Name", ("Access Point", "Access Point Name")),
    LogColumn("device_name", "Device Name"),
    LogColumn("map_location", "Map Location", ("Location",)),
    LogColumn("ssid", "SSID"),
    LogColumn("profile", "Profile", ("Profile Name",)),
    LogColumn("vlan_id", "VLAN ID", ("VLAN",)),
    LogColumn("protocol", "Protocol"),
    LogColumn("session_duration", "Session Duration", ("Duration",)),
    LogColumn("policy_type", "Policy Type"),
    LogColumn("avg_session_throughput_kbps", "Avg. Session Throughput (Kbps)", ("Average Session Throughput (Kbps)",)),
    LogColumn("record_id", "recordID"),
)

# All columns that a log with a header may have. Further ones are added here, after those of the stream format.
COLUMNS = (*STREAM_COLUMNS,)

# The number of fields in a line of the stream format: the record ID is optional.
STREAM_FIELDS = (len(STREAM_COLUMNS) - 1, len(STREAM_COLUMNS))

# Without all of these, a session does not say who was where, when and for how long.
REQUIRED = ("client_mac", "association_time", "ap_name", "session_duration")

_TYPES: dict[str, pa.DataType] = {
    "association_time": pa.timestamp("ms", tz="UTC"),
    "session_duration": pa.duration("ms"),
}

SCHEMA = pa.schema([(column.name, _TYPES.get(column.name, pa.string())) for column in COLUMNS])


def column_titled(title: str) -> str | None:
    """Gives the name of the column with this title, or None if the title is unknown.

    Only letters and digits count: administrators and versions differ in case, spaces and punctuation.

    >>> column_titled("avg session throughput [kbps]")
    'avg_session_throughput_kbps'
    """
    return _BY_TITLE.get(_normalised(title))


def is_canonical(title: str) -> bool:
    """Whether the title is a column's own, and not an alternative.

    >>> is_canonical("client mac address"), is_canonical("MAC Address")
    (True, False)
    """
    return _normalised(title) in _CANONICAL


def _normalised(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


_BY_TITLE = {_normalised(title): column.name for column in COLUMNS for title in (column.title, *column.aliases)}
_CANONICAL = {_normalised(column.title) for column in COLUMNS}
