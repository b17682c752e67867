"""Every refusal reaches the client as one status with a reason, and reveals nothing of the proxy's internals.

The proxy and the storage server are real and speak gRPC; what the storage server holds is changed behind its back.
"""

from __future__ import annotations

import logging
import random
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

from privacyplease.proxy.assembly.contracts import CONTRACTS, SERVICES
from privacyplease.proxy.manifest.view import ManifestView
from privacyplease.proxy.services.ingest import MOST_BYTES, MOST_RECORDS
from privacyplease.proxy.v1 import (
    admin_service_pb2,
    ingest_service_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
    types_pb2,
)
from privacyplease.server import Limits
from tests.services.arrow_bombs import stream
from tests.services.cells import refusal
from tests.services.polling import eventually
from tests.services.proxy import Proxied, arrow_batch, instant, interval, proxying
from tests.services.storage import Served, StorageProcess, serving

START = 1_727_769_600_000  # 2024-10-01T08:00:00Z
HOUR = 3_600_000
DAY = interval(START, START + 24 * HOUR)
DEVICE = "aa:bb:cc:dd:ee:ff"
RECORD = {
    "client_mac": DEVICE,
    "ap_name": "north door",
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": "45",
}
LATER = RECORD | {"association_time": "2024-10-01T12:00:00Z"}


class Refusal(NamedTuple):
    """What a client learns about a failure."""

    status: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    fields: dict[str, str]


@contextmanager
def refused() -> Iterator[list[Refusal]]:
    """Expects the block to be refused, and collects the refusal."""
    seen: list[Refusal] = []
    with pytest.raises(grpc.RpcError) as raised:
        yield seen
    status, info, fields = refusal(raised.value)
    assert info.domain == "proxy.privacyplease"
    seen.append(Refusal(status, info.reason.removeprefix("ERROR_REASON_"), dict(info.metadata), fields))


def sessions(proxy: Proxied, **change: Any) -> list[Any]:
    asked: dict[str, Any] = {"device": DEVICE, "interval": DAY, "purpose": "test"} | change
    return list(proxy.presence.FindSessions(presence_service_pb2.FindSessionsRequest(**asked)))


def count(proxy: Proxied, **change: Any) -> int:
    asked: dict[str, Any] = {"interval": DAY} | change
    return proxy.occupancy.Count(occupancy_service_pb2.CountRequest(**asked), timeout=30).distinct_devices


def count_by_place(proxy: Proxied, **change: Any) -> list[Any]:
    asked: dict[str, Any] = {"interval": DAY} | change
    return list(proxy.occupancy.CountByPlace(occupancy_service_pb2.CountByPlaceRequest(**asked)))


def series(proxy: Proxied, **change: Any) -> list[Any]:
    asked: dict[str, Any] = {"interval": DAY, "step": Duration(seconds=900)} | change
    return list(proxy.occupancy.Series(occupancy_service_pb2.SeriesRequest(**asked)))


def peak(proxy: Proxied, **change: Any) -> Any:
    asked: dict[str, Any] = {"interval": DAY, "step": Duration(seconds=900)} | change
    return proxy.occupancy.Peak(occupancy_service_pb2.PeakRequest(**asked))


def query(proxy: Proxied, **change: Any) -> list[Any]:
    asked: dict[str, Any] = {"dataset": "wifi", "interval": DAY, "purpose": "test"} | change
    return list(proxy.queries.Query(query_service_pb2.QueryRequest(**asked)))


QUESTIONS = [sessions, count, count_by_place, series, peak, query]
every_question = pytest.mark.parametrize("ask", QUESTIONS, ids=[ask.__name__ for ask in QUESTIONS])

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A proxy without records, shared by the tests of refused questions."""
    folder = tmp_path_factory.mktemp("empty")
    with serving(f"sqlite:///{folder}/cells.db") as storage, proxying(folder / "home", storage.address) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A proxy that has a record and was started with a wrong passphrase."""
    folder = tmp_path_factory.mktemp("locked")
    with serving(f"sqlite:///{folder}/cells.db") as storage:
        with proxying(folder / "home", storage.address) as proxy:
            proxy.ingest("wifi", [RECORD])
        with proxying(folder / "home", storage.address, passphrase="wrong") as proxy:
            yield proxy


class TestQuestions:
    """Invalid questions."""

    @every_question
    def test_an_unknown_data_set(self, empty: Proxied, ask: Ask) -> None:
        with refused() as seen:
            ask(empty, dataset="trains")
        assert seen[0][:2] == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_DATASET")
        assert "wifi" in seen[0].metadata["known"]
        assert list(seen[0].fields) == ["dataset"]

    @every_question
    @pytest.mark.parametrize(
        ("given", "field"),
        [
            (types_pb2.Interval(), "interval.start"),
            (types_pb2.Interval(start=instant(START)), "interval.end"),
            (types_pb2.Interval(end=instant(START)), "interval.start"),
            (interval(START, START - 1), "interval"),
            (interval(-1, START), "interval.start"),
            (interval(START, 253_402_300_800_000), "interval.end"),
        ],
        ids=["missing", "no end", "no start", "reversed", "before 1970", "after 9999"],
    )
    def test_an_invalid_interval(
        self, empty: Proxied, ask: Ask, given: types_pb2.Interval, field: str
    ) -> None:  # fmt: skip
        with refused() as seen:
            ask(empty, interval=given)
        assert seen[0][:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INTERVAL")
        assert seen[0].metadata == {"field": field}
        assert list(seen[0].fields) == [field]

    @pytest.mark.parametrize("device", ["", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:fg", "Unknown"])
    def test_a_malformed_address(self, empty: Proxied, device: str) -> None:
        with refused() as seen:
            sessions(empty, device=device)
        expected = "expected a MAC address of 12 hexadecimal digits"
        metadata = {"field": "device", "expected": "mac"}
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        assert seen == [Refusal(invalid, "MALFORMED_SUBJECT", metadata, {"device": expected})]

    def test_a_malformed_subject_of_a_query(self, empty: Proxied) -> None:
        with refused() as seen:
            query(empty, subject="aa:bb")
        assert seen[0][:2] == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_SUBJECT")
        assert list(seen[0].fields) == ["subject"]

    @pytest.mark.parametrize("columns", [["colour"], ["vendor", "vendor"]], ids=["unknown", "twice"])
    def test_an_unknown_or_repeated_column(self, empty: Proxied, columns: list[str]) -> None:
        with refused() as seen:
            query(empty, columns=columns)
        assert seen[0][:2] == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_COLUMN")
        assert list(seen[0].fields) == ["columns"]

    @pytest.mark.parametrize("ask", [series, peak])
    @pytest.mark.parametrize(
        "step",
        [Duration(), Duration(nanos=999_999), Duration(seconds=-1), Duration(nanos=1_000_000)],
        ids=["none", "below 1 ms", "negative", "too many"],
    )
    def test_a_bad_step(self, empty: Proxied, ask: Ask, step: Duration) -> None:
        with refused() as seen:
            ask(empty, step=step)
        assert seen[0][:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(seen[0].fields) == ["step"]

    def test_a_step_wider_than_the_interval_is_one_step(self, empty: Proxied) -> None:
        (page,) = series(empty, step=Duration(seconds=315_576_000_000))
        assert list(page.distinct_devices) == [0]

    def test_a_purpose_that_is_too_long(self, empty: Proxied) -> None:
        assert not sessions(empty, purpose="x" * 500)[0].present
        with refused() as seen:
            sessions(empty, purpose="x" * 501)
        assert seen[0][:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(seen[0].fields) == ["purpose"]

    def test_too_large_a_predicate(self, tmp_path: Path, storage: Served) -> None:
        with proxying(tmp_path / "home", storage.address, most_tags=1) as proxy:
            fill(proxy)
            assert count(proxy, interval=interval(START, START)) == 1
            # Two segments: the core, and for whole records the rest.
            for ask, tags in ((count, 2), (query, 2 * 2)):
                with refused() as seen:
                    ask(proxy)
                metadata = {"tags": str(tags), "limit": "1"}
                assert seen == [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "PREDICATE_TOO_LARGE", metadata, {})]


def fill(proxy: Proxied) -> None:
    """Two sessions of one device, each in a separate segment."""
    for record in (RECORD, LATER):
        (answer,) = proxy.ingest("wifi", [record])
        assert answer.accepted == 1


class TestBatches:
    """Invalid batches."""

    @pytest.mark.parametrize(
        ("batch", "field"),
        [
            ({}, "records"),
            ({"arrow": b"not arrow"}, "arrow"),
            ({"arrow": b""}, "arrow"),
            ({"arrow": arrow_batch("wifi", 0, [RECORD]).arrow[:-40]}, "arrow"),
            ({"arrow": arrow_batch("wifi", 0, [RECORD] * (MOST_RECORDS + 1)).arrow}, "arrow"),
            ({"arrow": arrow_batch("wifi", 0, [RECORD | {"colour": "red"}]).arrow}, "records"),
            ({"arrow": arrow_batch("wifi", 0, [{"client_mac": DEVICE}]).arrow}, "records"),
            ({"arrow": arrow_batch("wifi", 0, [RECORD | {"association_time": 1}]).arrow}, "records"),
            ({"arrow": arrow_batch("wifi", 0, [RECORD | {"c" * 60_000: "red"}]).arrow}, "records"),
            ({"arrow": arrow_batch("wifi", 0, [RECORD | {"vendor": {"v" * 60_000: 1}}]).arrow}, "arrow"),
            ({"arrow": stream({"client_mac": [DEVICE]}, compression="zstd")}, "arrow"),
            ({"json_lines": " " * (MOST_BYTES + 1)}, "json_lines"),
            ({"json_lines": "!\n" * (MOST_RECORDS + 1)}, "json_lines"),
        ],
        ids=[
            "neither",
            "no arrow",
            "empty",
            "cut off",
            "too many records",
            "unknown column",
            "missing column",
            "type that cannot be read",
            "unknown column with a long name",
            "nested type with a long name",
            "compressed buffers",
            "too many bytes",
            "too many lines",
        ],
    )  # fmt: skip
    def test_a_malformed_batch_ends_the_stream_after_the_good_ones(
        self, proxy: Proxied, batch: dict[str, Any], field: str
    ) -> None:
        good = arrow_batch("wifi", 1, [RECORD])
        bad = ingest_service_pb2.IngestRequest(sequence=7, **batch)
        acknowledged = []
        with refused() as seen:
            for answer in proxy.ingestion.Ingest(iter([good, bad, arrow_batch("wifi", 8, [LATER])])):
                acknowledged.append(answer.sequence)
        assert seen[0][:2] == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_BATCH")
        assert list(seen[0].fields) == [field]
        assert acknowledged == [1]
        assert len(sessions(proxy)[0].sessions.places) == 1

    def test_a_batch_with_forged_offsets(self, proxy: Proxied) -> None:
        told = arrow_batch("wifi", 0, [RECORD | {"ap_name": "#" * 1_000}]).arrow
        lying = told.replace((1_000).to_bytes(4, "little") + bytes(4), (0x0FFFFFFF).to_bytes(4, "little") + bytes(4))
        assert lying != told
        request = ingest_service_pb2.IngestRequest(dataset="wifi", arrow=lying)
        with refused() as seen:
            list(proxy.ingestion.Ingest(iter([request])))
        assert seen[0].reason == "MALFORMED_BATCH"

    @pytest.mark.parametrize("name", ["trains", ""])
    def test_a_batch_of_an_unknown_data_set(self, proxy: Proxied, name: str) -> None:
        with refused() as seen:
            proxy.ingest(name, [RECORD])
        assert seen[0][:2] == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_DATASET")
        assert list(seen[0].fields) == ["dataset"]

    def test_single_bad_records_are_listed_and_the_rest_is_stored(self, proxy: Proxied) -> None:
        bad = RECORD | {"client_mac": "bogus"}
        (answer,) = proxy.ingest("wifi", [bad, RECORD, bad])
        rejected = [(rejection.row, rejection.field) for rejection in answer.rejections]
        assert (answer.accepted, rejected) == (1, [(0, "client_mac"), (2, "client_mac")])
        assert "bogus" not in str(answer)

    def test_a_batch_without_records_is_acknowledged(self, proxy: Proxied) -> None:
        request = ingest_service_pb2.IngestRequest(dataset="wifi", sequence=3, json_lines="\n")
        (answer,) = proxy.ingestion.Ingest(iter([request]))
        assert (answer.sequence, answer.accepted) == (3, 0)


METHODS = [method for file in CONTRACTS for service in file.services_by_name.values() for method in service.methods]
# A stream of requests may also be empty.
CALLS = [(m, number) for m in METHODS for number in ((0, 1) if m.client_streaming else (1,))]


class TestKeys:
    """A proxy with a wrong passphrase, and keys that are gone."""

    @pytest.mark.parametrize(("method", "messages"), CALLS, ids=[f"{m.full_name}-{number}" for m, number in CALLS])
    def test_a_locked_proxy_refuses_every_call(
        self, locked: Proxied, method: MethodDescriptor, messages: int
    ) -> None:  # fmt: skip
        path = f"/{method.containing_service.full_name}/{method.name}"
        request = GetMessageClass(method.input_type)().SerializeToString()
        with refused() as seen:
            list(locked.channel.stream_stream(path, None, None)(iter([request] * messages), timeout=10))
        assert seen == [Refusal(grpc.StatusCode.FAILED_PRECONDITION, "WRONG_PASSPHRASE", {}, {})]

    def test_a_locked_proxy_refuses_typed_stubs_alike(self, locked: Proxied) -> None:
        for ask in (*QUESTIONS, lambda proxy: proxy.ingest("wifi", [RECORD])):
            with refused() as seen:
                ask(locked)
            assert seen[0].reason == "WRONG_PASSPHRASE"

    def test_health_says_whether_the_proxy_is_locked(self, locked: Proxied, empty: Proxied) -> None:
        assert {health(locked, service) for service in ("", *SERVICES)} == {"NOT_SERVING"}
        assert {health(empty, service) for service in ("", *SERVICES)} == {"SERVING"}

    @pytest.mark.parametrize(
        ("owner", "reason"),
        [("wifi", "KEY_UNAVAILABLE"), ("wifi/manifest", "KEY_UNAVAILABLE"), ("/manifest", "ROLLED_BACK")],
        ids=["epoch", "data set", "head of the manifest"],
    )
    def test_a_key_that_is_gone(self, tmp_path: Path, storage: Served, owner: str, reason: str) -> None:
        with proxying(tmp_path / "home", storage.address) as proxy:
            proxy.ingest("wifi", [RECORD])
        with closing(sqlite3.connect(tmp_path / "home" / "trusted.db")) as trusted, trusted:
            assert trusted.execute("DELETE FROM data_keys WHERE dataset = ?", (owner,)).rowcount
        with proxying(tmp_path / "home", storage.address) as proxy, refused() as seen:
            sessions(proxy)
        assert seen[0][:2] == (grpc.StatusCode.FAILED_PRECONDITION, reason)


def health(proxy: Proxied, service: str) -> str:
    stub = health_pb2_grpc.HealthStub(proxy.channel)
    status = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


# Whichever byte is there: one in 256 is zero already.
OTHER_BYTE = (
    "sealed = CAST(substr(sealed, 1, 40) || CASE substr(sealed, 41, 1) WHEN x'00' THEN x'01' ELSE x'00' END "
    "|| substr(sealed, 42) AS BLOB)"
)


class TestTampering:
    """The storage server returns something other than what was stored."""

    @pytest.fixture
    def filled(self, tmp_path: Path, storage: Served) -> Iterator[Proxied]:
        """Two segments, neither of which is kept in memory."""
        with proxying(tmp_path / "home", storage.address, cache_bytes=0) as proxy:
            fill(proxy)
            yield proxy

    @every_question
    @pytest.mark.parametrize(
        "change",
        [
            OTHER_BYTE,
            "sealed = CAST(x'01' || substr(sealed, 2) AS BLOB)",
            "sealed = substr(sealed, 1, length(sealed) - 1)",
            "sealed = x'02'",
        ],
        ids=["changed byte", "changed version", "truncated", "cut to nothing"],
    )
    def test_a_changed_cell(self, filled: Proxied, sqlite_url: str, ask: Ask, change: str) -> None:
        ask(filled)
        rewrite(sqlite_url, f"UPDATE cells SET {change}")
        with refused() as seen:
            ask(filled)
        cells = 4 if ask is query else 2  # two segments: the core, and for whole records the rest
        assert seen == [Refusal(grpc.StatusCode.DATA_LOSS, "CELL_DAMAGED", {"cells": str(cells)}, {})]

    def test_one_cell_of_many_that_was_changed(self, filled: Proxied, sqlite_url: str) -> None:
        first, _ = tags_asked_for(filled, sqlite_url)
        rewrite(sqlite_url, "UPDATE cells SET sealed = x'02' WHERE tag = ?", first)
        with refused() as seen:
            sessions(filled)
        assert seen == [Refusal(grpc.StatusCode.DATA_LOSS, "CELL_DAMAGED", {"cells": "1"}, {})]

    def test_a_cell_moved_under_another_tag_that_is_asked_for(self, filled: Proxied, sqlite_url: str) -> None:
        first, second = tags_asked_for(filled, sqlite_url)
        rewrite(sqlite_url, "DELETE FROM cells WHERE tag = ?", second)
        rewrite(sqlite_url, "UPDATE cells SET tag = ? WHERE tag = ?", second, first)
        with refused() as seen:
            sessions(filled)
        assert seen[0][:2] == (grpc.StatusCode.DATA_LOSS, "CELLS_MISSING")  # there is none at the old tag now

    def test_a_cell_copied_under_another_tag_that_is_asked_for(self, filled: Proxied, sqlite_url: str) -> None:
        first, second = tags_asked_for(filled, sqlite_url)
        rewrite(sqlite_url, "DELETE FROM cells WHERE tag = ?", second)
        rewrite(sqlite_url, "INSERT INTO cells SELECT ?, sealed_bytes, sealed FROM cells WHERE tag = ?", second, first)
        with refused() as seen:
            sessions(filled)
        assert seen == [Refusal(grpc.StatusCode.DATA_LOSS, "CELL_DAMAGED", {"cells": "1"}, {})]

    def test_contents_of_two_cells_exchanged(self, filled: Proxied, sqlite_url: str) -> None:
        first, second = tags_asked_for(filled, sqlite_url)
        with closing(connect(sqlite_url)) as store, store:
            contents = dict(store.execute("SELECT tag, sealed FROM cells").fetchall())
            for tag, other in ((first, second), (second, first)):
                store.execute("UPDATE cells SET sealed = ? WHERE tag = ?", (contents[other], tag))
        with refused() as seen:
            sessions(filled)
        assert seen[0].reason == "CELL_DAMAGED"

    @every_question
    def test_a_store_that_was_emptied(self, filled: Proxied, sqlite_url: str, ask: Ask) -> None:
        rewrite(sqlite_url, "DELETE FROM cells")
        with refused() as seen:
            ask(filled)
        assert seen[0][:2] == (grpc.StatusCode.DATA_LOSS, "CELLS_MISSING")

    def test_a_damaged_cell_outside_the_question_does_no_harm(self, filled: Proxied, sqlite_url: str) -> None:
        rewrite(sqlite_url, "UPDATE cells SET sealed = x'00'")
        assert not sessions(filled, interval=interval(0, START - 24 * HOUR))[0].present


def connect(storage_url: str) -> sqlite3.Connection:
    return sqlite3.connect(storage_url.removeprefix("sqlite:///"))


def rewrite(storage_url: str, statement: str, *values: bytes) -> None:
    with closing(connect(storage_url)) as store, store:
        assert store.execute(statement, values).rowcount > 0


def tags_asked_for(proxy: Proxied, storage_url: str) -> list[bytes]:
    """The tags in the store that a question about the device asks for: those whose absence is noticed."""
    with closing(connect(storage_url)) as store:
        everything = store.execute("SELECT tag, sealed_bytes, sealed FROM cells").fetchall()
    found = []
    for row in everything:
        rewrite(storage_url, "DELETE FROM cells WHERE tag = ?", row[0])
        if is_missed(proxy):
            found.append(row[0])
        rewrite(storage_url, "INSERT INTO cells VALUES (?, ?, ?)", *row)
    assert len(found) == 2
    return found


def is_missed(proxy: Proxied) -> bool:
    try:
        sessions(proxy)
    except grpc.RpcError as error:
        status, info, _ = refusal(error)
        assert (status, info.reason) == (grpc.StatusCode.DATA_LOSS, "ERROR_REASON_CELLS_MISSING")
        return True
    return False


class TestStorage:
    """The storage server is unavailable or incompatible."""

    def test_an_unavailable_server(self, tmp_path: Path) -> None:
        with proxying(tmp_path / "home", "127.0.0.1:1") as proxy:
            with refused() as seen:
                proxy.ingest("wifi", [RECORD])
            assert seen[0][:2] == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
            status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest())
            assert not status.storage.reachable
            assert {keyring.dataset for keyring in status.keyrings} >= {"wifi"}

    def test_a_server_that_restarts(self, tmp_path: Path, sqlite_url: str) -> None:
        with StorageProcess(sqlite_url) as first:
            address = first.address
            with proxying(tmp_path / "home", address, cache_bytes=0) as proxy:
                proxy.ingest("wifi", [RECORD])
                first.stop()
                for ask in (count, lambda proxy: proxy.ingest("wifi", [LATER])):
                    with refused() as seen:
                        ask(proxy)
                    assert seen[0][:2] == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
                with StorageProcess(sqlite_url, listen=address):
                    assert eventually(lambda: answers(proxy))
                    proxy.ingest("wifi", [LATER])
                    assert len(sessions(proxy)[0].sessions.places) == 2

    def test_a_server_with_a_smaller_cell_limit(self, tmp_path: Path, sqlite_url: str) -> None:
        small = Limits(max_cell_bytes=100)
        home = tmp_path / "home"
        with serving(sqlite_url, small) as storage, proxying(home, storage.address) as proxy, refused() as seen:
            proxy.ingest("wifi", [RECORD])
        metadata = {"storage_reason": "ERROR_REASON_CELL_TOO_LARGE"}
        assert seen == [Refusal(grpc.StatusCode.INTERNAL, "STORAGE_REFUSED", metadata, {})]

    def test_a_server_with_narrow_limits_is_queried_in_parts(self, tmp_path: Path, sqlite_url: str) -> None:
        narrow = Limits(max_tags_per_predicate=3, max_cells_per_append=1)
        home = tmp_path / "home"
        with serving(sqlite_url, narrow) as storage, proxying(home, storage.address, cache_bytes=0) as proxy:
            fill(proxy)
            fill(proxy)
            assert len(sessions(proxy)[0].sessions.places) == 2
            assert count(proxy) == 1

    def test_a_batch_whose_cells_exceed_the_servers_limit(self, proxy: Proxied) -> None:
        noise = random.Random(7)
        long = [RECORD | {"device_name": b64encode(noise.randbytes(48_000)).decode()} for _ in range(220)]
        moments = [f"2024-10-01T08:00:00.{n:03}Z" for n in range(len(long))]
        (answer,) = proxy.ingest(
            "wifi", [one | {"association_time": at} for one, at in zip(long, moments, strict=True)]
        )
        assert answer.accepted == len(long)
        assert len(sessions(proxy)[0].sessions.places) == len(long)


def answers(proxy: Proxied) -> bool:
    try:
        return count(proxy) == 1
    except grpc.RpcError:
        return False


class TestFaults:
    """An unexpected fault."""

    @every_question
    def test_neither_client_nor_log_learns_a_value(
        self, proxy: Proxied, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise LookupError(f"{DEVICE} at the north door")

        proxy.ingest("wifi", [RECORD])
        monkeypatch.setattr(ManifestView, "overlapping", fail)
        with caplog.at_level(logging.DEBUG), pytest.raises(grpc.RpcError) as raised:
            ask(proxy)
        status, info, fields = refusal(raised.value)
        assert (status, info.reason, fields) == (grpc.StatusCode.INTERNAL, "ERROR_REASON_INTERNAL", {})
        assert raised.value.details() == "internal fault; the proxy's log has the details"
        assert info.metadata["id"] in caplog.text
        assert "LookupError" in caplog.text
        for value in (DEVICE, "north door"):
            assert value not in caplog.text
            assert value not in str(raised.value)
