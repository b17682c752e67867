"""Whatever proxy and storage server create is accessible only to their owner, also when they are started directly."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from privacyplease.client import Client
from tests.services.daemon import Daemon
from tests.services.kafka import free_ports
from tests.services.storage import StorageProcess

BATCH = pa.table(
    {
        "client_mac": ["02:00:00:00:00:01"],
        "ap_name": ["north door"],
        "association_time": ["2024-10-01T08:00:00Z"],
        "session_duration": ["60"],
    }
)


@pytest.fixture
def careless() -> Iterator[None]:
    """The umask of an account that gives everybody everything."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("careless")
def test_what_servers_create_is_accessible_only_to_their_owner_whatever_the_umask(tmp_path: Path) -> None:
    home, address = tmp_path / "home", f"127.0.0.1:{free_ports(1)[0]}"
    with StorageProcess(f"sqlite:///{tmp_path}/cells.db") as storage:
        flags = ["--insecure", "--listen", address, "--storage-server", storage.address, "--home", str(home)]
        with Daemon("proxy", ["-m", "privacyplease.proxy", *flags], tmp_path), Client(address, insecure=True) as client:
            (stored,) = client.ingest("wifi", iter([BATCH]))  # it is sent again until the proxy has started
            assert stored.accepted == 1
            files = [*home.rglob("*"), *tmp_path.glob("cells.db*")]
            modes = {str(file): stat.S_IMODE(file.stat().st_mode) for file in (home, *files)}
    assert {str(home / name) for name in ("trusted.db", "trusted.db-wal", "master.key", "passphrase")} <= modes.keys()
    assert {file: oct(mode) for file, mode in modes.items() if mode & 0o077} == {}
