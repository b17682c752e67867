"""The server as a process: how it starts and stops, and what happens when it or its database is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from privacyplease.server import Limits, open_store
from privacyplease.server.sql import SqlStore
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1.storage_service_pb2_grpc import StorageServiceStub
from tests.services.cells import any_of, append, ascending, cell, channel_to, refusal, select
from tests.services.mariadb import MariaDB
from tests.services.storage import Served, StorageProcess

SERVICE = "privacyplease.storage.v1.StorageService"


def health_of(channel: grpc.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return int(stub.Check(health_pb2.HealthCheckRequest(service=service), wait_for_ready=True, timeout=10).status)


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "privacyplease.server", "--insecure", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_stored_cell_survives_sigkill(storage_url: str) -> None:
    cells = [cell() for _ in range(500)]
    with StorageProcess(storage_url) as server:
        with channel_to(server.address) as channel:
            append(StorageServiceStub(channel), *cells)
        server.kill()
        server.start()
        with channel_to(server.address) as channel:
            assert select(StorageServiceStub(channel), *[one.tag for one in cells]) == ascending(cells)


def test_an_append_interrupted_by_sigkill_stores_all_of_its_cells_or_none(storage_url: str) -> None:
    with StorageProcess(storage_url) as server:
        for delay in (0.02, 0.1, 0.3):
            cells = [cell(size=600) for _ in range(8000)]
            with channel_to(server.address) as channel:
                call: Any = StorageServiceStub(channel).Append.future(pb.AppendRequest(cells=cells))
                killer = threading.Timer(delay, server.kill)
                killer.start()
                acknowledged = call.exception(timeout=30) is None
                killer.join()
            server.start()
            with channel_to(server.address) as channel:
                found = select(StorageServiceStub(channel), *[one.tag for one in cells])
            assert len(found) in ({8000} if acknowledged else {0, 8000})


def test_sigterm_stops_it_gracefully(storage_url: str) -> None:
    with StorageProcess(storage_url) as server:
        assert server.address.startswith("127.0.0.1:")
        assert server.log.count("\n") == 1
        assert f"serving on {server.address}" in server.log
        assert server.stop() == 0


def test_health_reports_serving_until_the_server_stops(sqlite_url: str) -> None:
    with StorageProcess(sqlite_url) as server, channel_to(server.address) as channel:
        assert health_of(channel, "") == health_of(channel, SERVICE) == health_pb2.HealthCheckResponse.SERVING
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watched.cancel()
        stopping.join()


def test_reflection_returns_the_contract(served: Served) -> None:
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)
    answer = next(reflection_pb2_grpc.ServerReflectionStub(served.channel).ServerReflectionInfo(iter([asked])))
    files = [FileDescriptorProto.FromString(one) for one in answer.file_descriptor_response.file_descriptor_proto]
    assert "StorageService" in [service.name for file in files for service in file.service]


@pytest.fixture(scope="module")
def mortal() -> Iterator[tuple[MariaDB, StorageServiceStub]]:
    """A database that a test may kill, if it restarts it, and a server over it."""
    with (
        MariaDB() as database,
        StorageProcess(database.create_database("cells")) as server,
        channel_to(server.address) as channel,
    ):
        yield database, StorageServiceStub(channel)


def test_the_server_reconnects_to_a_restarted_database(mortal: tuple[MariaDB, StorageServiceStub]) -> None:
    database, stub = mortal
    cells = [cell() for _ in range(100)]
    append(stub, *cells)
    database.kill()
    for call in (lambda: append(stub, cell()), lambda: select(stub, cells[0].tag)):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        code, info, _ = refusal(caught.value)
        assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_STORE_UNAVAILABLE")
    database.restart()
    assert select(stub, *[one.tag for one in cells]) == ascending(cells)
    assert append(stub, cell()) == 1


def test_a_database_killed_in_the_middle_of_a_stream_makes_the_stream_unavailable(
    mortal: tuple[MariaDB, StorageServiceStub],
) -> None:
    database, stub = mortal
    cells = [cell(size=1 << 20) for _ in range(100)]
    for start in range(0, 100, 20):
        append(stub, *cells[start : start + 20])
    predicate = any_of([one.tag for one in cells])
    stream = stub.Select(pb.SelectRequest(predicate=predicate))
    seen = [next(iter(stream))]
    database.kill()
    with pytest.raises(grpc.RpcError) as caught:
        seen.extend(stream)
    assert refusal(caught.value)[1].reason == "ERROR_REASON_STORE_UNAVAILABLE"
    database.restart()
    seen.extend(stub.Select(pb.SelectRequest(predicate=predicate, cursor=seen[-1].cursor)))
    assert [one for page in seen for one in page.cells] == ascending(cells)


def test_the_log_never_holds_a_tag(storage_url: str, mariadb: MariaDB) -> None:
    stored = cell()
    with StorageProcess(storage_url) as server, channel_to(server.address) as channel:
        stub = StorageServiceStub(channel)
        append(stub, stored)
        break_table(storage_url, mariadb)
        for call in (lambda: append(stub, stored), lambda: select(stub, stored.tag)):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert stored.tag.hex() not in str(caught.value)
        assert "unexpected" in server.log
        assert stored.tag.hex() not in server.log
        assert stored.sealed.hex()[:32] not in server.log


def break_table(storage_url: str, mariadb: MariaDB) -> None:
    if storage_url.startswith("mysql"):
        mariadb.execute("DROP TABLE cells", storage_url.rsplit("/", 1)[1])
        return
    import sqlite3

    with sqlite3.connect(storage_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TABLE cells")


def test_the_database_is_reached_through_a_unix_socket(mariadb: MariaDB, mariadb_url: str) -> None:
    url = mariadb.url(mariadb_url.rsplit("/", 1)[1], unix_socket=True)
    with StorageProcess(url) as server, channel_to(server.address) as channel:
        stored = cell()
        append(StorageServiceStub(channel), stored)
        assert select(StorageServiceStub(channel), stored.tag) == [stored]


def test_three_servers_can_start_at_once_on_one_new_database(storage_url: str) -> None:
    servers = [StorageProcess(storage_url) for _ in range(3)]
    starting = [threading.Thread(target=server.start) for server in servers]
    try:
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        assert [server.stop() for server in servers] == [0, 0, 0]
    finally:
        for server in servers:
            server.kill()


def test_a_second_server_on_the_same_port_fails_to_start(sqlite_url: str) -> None:
    with StorageProcess(sqlite_url) as server:
        second = run("--storage", sqlite_url, "--listen", server.address)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.splitlines()[-1].startswith(f"error: cannot listen on {server.address}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://host/cells", "got postgresql"),
        ("nonsense with secret", "expected a storage URL"),
        ("sqlite://", "expected sqlite:///PATH"),
        ("sqlite:////no/such/folder/cells.db", "database is unavailable"),
        ("mysql://root:secret@127.0.0.1:1/cells", "database is unavailable"),
    ],
)
def test_a_store_that_cannot_be_opened_is_reported_in_one_line(url: str, message: str) -> None:
    ended = run("--storage", url, "--listen", "127.0.0.1:0")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert message in ended.stderr
    assert "secret" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_missing_database_is_reported_in_one_line(mariadb: MariaDB) -> None:
    ended = run("--storage", mariadb.url("no_such_database"), "--listen", "127.0.0.1:0")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: the database cannot be used:")
    assert "Unknown database" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_database_of_an_earlier_version_is_reported_in_one_line(storage_url: str) -> None:
    store = open_store(storage_url, Limits(), connections=1)
    assert isinstance(store, SqlStore)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 1")
    store.close()
    ended = run("--storage", storage_url, "--listen", "127.0.0.1:0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "error: expected database schema version 2, got an earlier version, which cannot be migrated: "
        "ingest its records again, into an empty database\n"
    )


def test_wrong_arguments_exit_with_2(sqlite_url: str) -> None:
    assert run("--storage", sqlite_url, "--grace-seconds", "-1").returncode == 2
    assert run("--storage", sqlite_url, "--max-cell-bytes", "many").returncode == 2


def test_a_limit_is_set_by_its_flag(sqlite_url: str) -> None:
    with StorageProcess(sqlite_url, "--max-cell-bytes=1234") as server, channel_to(server.address) as channel:
        assert StorageServiceStub(channel).Describe(pb.DescribeRequest()).limits.max_cell_bytes == 1234


def test_the_address_file_has_one_line(sqlite_url: str) -> None:
    with StorageProcess(sqlite_url) as server:
        text = server._address_file.read_text(encoding="utf-8")
        assert text == f"{server.address}\n"
