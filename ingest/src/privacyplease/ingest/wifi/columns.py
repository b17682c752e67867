"""The columns of a WiFi session log: their names here, their titles in the log, and the types that come out."""

import re
from typing import NamedTuple

import pyarrow as pa

__all__ = ["COLUMNS", "REQUIRED", "SCHEMA", "STREAM_FIELDS", "Column", "column_of"]


class Column(NamedTuple):
    """A column of the log: its name in our tables, its title in the log, and other titles it goes by."""

    name: str
    title: str
    aliases: tuple[str, ...] = ()


# The order is that of the stream form, which has no header. It is also the order in which Cisco Prime exports them.
COLUMNS = (
    Column("client_ip", "Client IP Address", ("Client IP", "IP Address")),
    Column("client_mac", "Client MAC Address", ("Client MAC", "MAC Address")),
    Column("association_time", "Association Time", ("Session Start Time", "Start Time")),
    Column("vendor", "Vendor", ("Client Vendor",)),
    Column("ap_name", "AP Name", ("Access Point", "Access Point Name")),
    Column("device_name", "Device Name"),
    Column("map_location", "Map Location", ("Location",)),
    Column("ssid", "SSID"),
    Column("profile", "Profile", ("Profile Name",)),
    Column("vlan_id", "VLAN ID", ("VLAN",)),
    Column("protocol", "Protocol"),
    Column("session_duration", "Session Duration", ("Duration",)),
    Column("policy_type", "Policy Type"),
    Column("avg_session_throughput_kbps", "Avg. Session Throughput (Kbps)", ("Average Session Throughput (Kbps)",)),
    Column("record_id", "recordID"),
)

# How many fields a line of the stream form has: the record ID is optional.
STREAM_FIELDS = (len(COLUMNS) - 1, len(COLUMNS))

# Without one of these, nobody was anywhere at any time.
REQUIRED = ("client_mac", "association_time", "ap_name", "session_duration")

_TYPES: dict[str, pa.DataType] = {
    "association_time": pa.timestamp("ms", tz="UTC"),
    "session_duration": pa.duration("ms"),
}

SCHEMA = pa.schema([(column.name, _TYPES.get(column.name, pa.string())) for column in COLUMNS])


def column_of(title: str) -> str | None:
    """Gives the name of the column with this title, or None for a title we do not know.

    Only letters and digits count: administrators and versions differ in case, spaces and points.

    >>> column_of("avg session throughput [kbps]")
    'avg_session_throughput_kbps'
    """
    return _BY_TITLE.get(_normal(title))


def _normal(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


_BY_TITLE = {_normal(title): column.name for column in COLUMNS for title in (column.title, *column.aliases)}
