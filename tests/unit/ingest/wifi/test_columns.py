"""The columns of a WiFi session log."""

from privacyplease.ingest.wifi.columns import COLUMNS, STREAM_COLUMNS


def test_the_columns_of_the_stream_format_never_change() -> None:
    """A message has no header: senders and readers of different versions agree only on this order."""
    assert [column.name for column in STREAM_COLUMNS] == [
        *("client_ip", "client_mac", "association_time", "vendor", "ap_name", "device_name", "map_location", "ssid"),
        *("profile", "vlan_id", "protocol", "session_duration", "policy_type", "avg_session_throughput_kbps"),
        "record_id",
    ]
    assert COLUMNS[: len(STREAM_COLUMNS)] == STREAM_COLUMNS
