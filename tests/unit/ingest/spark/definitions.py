"""Definitions of data sets, as a client gets them from the proxy."""

from __future__ import annotations

from privacyplease.client import Dataset
from privacyplease.client.catalogue import Column

_TYPES = {
    "client_mac": "mac",
    "ap_name": "string",
    "association_time": "timestamp",
    "session_duration": "duration",
    "device_name": "string",
    "vlan_id": "string",
    "visits": "int",
    "signal": "float",
    "guest": "bool",
}

WIFI = Dataset(
    name="wifi",
    title="WiFi association sessions",
    columns=tuple(Column(name, kind) for name, kind in _TYPES.items()),
    subject="client_mac",
    place="ap_name",
    start="association_time",
    duration="session_duration",
)
