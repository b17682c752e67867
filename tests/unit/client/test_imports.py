"""What the SDK imports, and when: a command line that counts people should not wait for pandas."""

import subprocess
import sys
from typing import Any

from privacyplease.proxy.v1 import occupancy_service_pb2

TABLES = {"pyarrow", "pandas", "polars", "numpy"}

COUNT = """
from datetime import UTC, datetime
from privacyplease.client import Client
with Client({address!r}, insecure=True) as client:
    assert client.count(datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)) == 7
"""


def _imported(code: str) -> set[str]:
    """The top-level modules that are loaded after running `code` in a process of its own."""
    show = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(
        subprocess.run([sys.executable, "-c", code + show], check=True, capture_output=True, text=True).stdout.split()
    )


def test_importing_the_sdk_loads_neither_grpc_nor_a_table_library() -> None:
    assert not _imported("from privacyplease.client import AsyncClient, Client") & {"grpc", *TABLES}


def test_a_count_loads_no_table_library(proxy: Any) -> None:
    proxy.on("Count", lambda request, context: occupancy_service_pb2.CountResponse(distinct_devices=7))
    imported = _imported(COUNT.format(address=proxy.address))
    assert "grpc" in imported
    assert not imported & TABLES
