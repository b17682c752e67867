"""The promises of storage_service.proto, on every kind of store."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacyplease.server import Limits
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1.storage_service_pb2_grpc import StorageServiceStub
from tests.services.cells import any_of, append, ascending, cell, refusal, select, tag
from tests.services.polling import eventually
from tests.services.storage import Served

KIB = 1 << 10
MIB = 1 << 20

Limited = Callable[[Limits], StorageServiceStub]


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, dict[str, str], dict[str, str]]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    code, info, violations = refusal(caught.value)
    assert info.domain == "storage.privacyplease"
    return code, info.reason, dict(info.metadata), violations


class TestAppend:
    def test_stored_cells_come_back_in_ascending_order(self, stub: StorageServiceStub) -> None:
        cells = [cell() for _ in range(50)]
        assert append(stub, *cells) == 50
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    def test_every_byte_value_is_stored_unchanged(self, stub: StorageServiceStub) -> None:
        literal = pb.Cell(tag=bytes(range(16)), sealed=bytes(range(256)) * 5)
        bound = pb.Cell(tag=b"'\"\\%_\0\n\r" * 2, sealed=bytes(range(256)) * 2_000)
        append(stub, literal, bound)
        assert select(stub, literal.tag, bound.tag) == [literal, bound]

    def test_an_append_may_be_sent_again(self, stub: StorageServiceStub) -> None:
        cells = [cell() for _ in range(5)]
        assert append(stub, *cells) == append(stub, *cells) == 5
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    @pytest.mark.parametrize("size", [100, 100_000])
    @pytest.mark.parametrize("other_size", [100, 100_000])
    def test_a_stored_cell_is_left_as_it_is(self, stub: StorageServiceStub, size: int, other_size: int) -> None:
        first, fresh = cell(size=size), cell()
        append(stub, first)
        assert append(stub, cell(first.tag, other_size), fresh) == 2
        assert select(stub, first.tag) == [first]
        assert select(stub, fresh.tag) == [fresh]

    @pytest.mark.parametrize("size", [100, 100_000])
    @pytest.mark.parametrize("other_size", [100, 100_000])
    def test_of_two_cells_with_one_tag_the_first_is_stored(
        self, stub: StorageServiceStub, size: int, other_size: int
    ) -> None:
        first = cell(size=size)
        assert append(stub, first, cell(first.tag, other_size)) == 2
        assert select(stub, first.tag) == [first]
        assert stub.Measure(pb.MeasureRequest(predicate=any_of([first.tag]))) == pb.MeasureResponse(cells=1, bytes=size)

    @pytest.mark.parametrize(
        ("bad", "field"),
        [
            (pb.Cell(tag=b"short", sealed=b"x"), "cells[1].tag"),
            (pb.Cell(tag=bytes(17), sealed=b"x"), "cells[1].tag"),
            (pb.Cell(tag=bytes(16)), "cells[1].sealed"),
        ],
        ids=["short tag", "long tag", "nothing sealed"],
    )
    def test_a_bad_cell_in_the_middle_stores_nothing(self, stub: StorageServiceStub, bad: pb.Cell, field: str) -> None:
        before, after = cell(), cell()
        code, reason, _, violations = refused(lambda: append(stub, before, bad, after))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_REQUEST")
        assert list(violations) == [field]
        assert select(stub, before.tag, after.tag) == []

    def test_a_failure_in_the_database_stores_nothing(
        self, served: Served, stub: StorageServiceStub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = served.store
        insert = store._insert

        def insert_and_fail(connection: Any, cells: Any) -> None:
            insert(connection, cells)
            raise RuntimeError("after the write")

        monkeypatch.setattr(store, "_insert", insert_and_fail)
        lost = cell()
        with pytest.raises(grpc.RpcError) as caught:
            append(stub, lost)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "after the write" not in str(caught.value)
        assert select(stub, lost.tag) == []

    def test_an_append_without_cells_is_refused(self, stub: StorageServiceStub) -> None:
        assert refused(lambda: append(stub))[3] == {"cells": "expected at least 1 entry, got 0"}

    def test_only_sixteen_violations_are_reported(self, stub: StorageServiceStub) -> None:
        bad = [pb.Cell(tag=b"1", sealed=b"3")] * 5000
        assert len(refused(lambda: append(stub, *bad))[3]) == 16

    def test_the_largest_cell_is_stored_whatever_its_bytes(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=8 * MIB), pb.Cell(tag=tag(), sealed=bytes(8 * MIB))]
        append(stub, *cells)
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    def test_cells_of_all_sizes_are_stored(self, stub: StorageServiceStub) -> None:
        # Around the bounds of one-, two- and three-byte lengths, and of the cells that are sent as literals.
        sizes = [1, 250, 251, 8 * KIB, 8 * KIB + 1, 64 * KIB - 1, 64 * KIB, MIB, 3 * MIB] + [300] * 4000
        cells = [cell(size=size) for size in sizes]
        assert append(stub, *cells) == len(cells)
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    def test_concurrent_appends_are_all_stored(self, stub: StorageServiceStub) -> None:
        shared = [cell(size=random.choice([100, 10_000])) for _ in range(200)]
        batches = [[*random.sample(shared, 200), *(cell() for _ in range(200))] for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda batch: append(stub, *batch), batches)) == [400] * 8
        everything = {one.tag: one for batch in batches for one in batch}.values()
        assert select(stub, *[one.tag for one in everything]) == ascending(everything)


class TestSelect:
    def test_a_selection_without_match_is_an_empty_stream(self, stub: StorageServiceStub) -> None:
        append(stub, cell())
        assert list(stub.Select(pb.SelectRequest(predicate=any_of([tag()])))) == []

    def test_a_tag_named_twice_counts_once(self, stub: StorageServiceStub) -> None:
        one = cell()
        append(stub, one)
        assert select(stub, one.tag, one.tag, tag(), one.tag) == [one]

    def test_only_the_tags_named_are_matched(self, stub: StorageServiceStub) -> None:
        cells = [cell() for _ in range(1200)]
        append(stub, *cells)
        wanted = random.sample(cells, 777)
        assert select(stub, *[one.tag for one in wanted]) == ascending(wanted)

    @pytest.mark.parametrize(("asked", "bound"), [(0, MIB), (1, 64 * KIB), (300_000, 300_000), (1 << 31, 2 * MIB)])
    def test_pages_have_the_requested_size(self, stub: StorageServiceStub, asked: int, bound: int) -> None:
        cells = [cell(size=20_000) for _ in range(200)]
        append(stub, *cells)
        predicate = any_of(one.tag for one in cells)
        pages = list(stub.Select(pb.SelectRequest(predicate=predicate, page_bytes=asked)))
        sizes = [sum(len(one.sealed) for one in page.cells) for page in pages]
        assert max(sizes) <= bound
        assert min(sizes[:-1]) > bound - 25_000

    def test_a_cell_larger_than_a_page_gets_its_own_page(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=size) for size in (10, 3 * MIB, 3 * MIB, 10)]
        append(stub, *cells)
        predicate = any_of(one.tag for one in cells)
        pages = list(stub.Select(pb.SelectRequest(predicate=predicate, page_bytes=1)))
        assert sum(len(page.cells) for page in pages) == 4
        assert all(len(page.cells) == 1 for page in pages if len(page.cells[0].sealed) > MIB)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        stored=st.lists(st.booleans(), min_size=1, max_size=100),
        size=st.integers(1, 20_000),
        page_bytes=st.integers(0, 200_000),
    )
    def test_every_cursor_resumes_after_its_page(
        self, stub: StorageServiceStub, stored: list[bool], size: int, page_bytes: int
    ) -> None:
        tags = [tag() for _ in stored]
        cells = [cell(one, size) for one, there in zip(tags, stored, strict=True) if there]
        if cells:
            append(stub, *cells)

        def stream(cursor: bytes) -> list[pb.SelectResponse]:
            wanted = pb.SelectRequest(predicate=any_of(tags), cursor=cursor, page_bytes=page_bytes)
            return list(stub.Select(wanted))

        pages = stream(b"")
        assert [one for page in pages for one in page.cells] == ascending(cells)
        for number, page in enumerate(pages, start=1):
            assert stream(page.cursor) == pages[number:]

    def test_a_cursor_resumes_over_many_statements(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=500) for _ in range(1800)]
        append(stub, *cells)
        predicate = any_of([one.tag for one in cells])
        seen, cursor = list[Any](), b""
        while page := next(iter(stub.Select(pb.SelectRequest(predicate=predicate, cursor=cursor, page_bytes=1))), None):
            seen += page.cells
            cursor = page.cursor
        assert seen == ascending(cells)

    @pytest.mark.parametrize("cursor", [b"x", bytes(15), bytes(16), bytes(17), b"\xff" * 16, b"\xff" * 17])
    def test_a_cursor_of_another_predicate_is_refused(self, stub: StorageServiceStub, cursor: bytes) -> None:
        request = pb.SelectRequest(predicate=any_of([tag()]), cursor=cursor)
        code, reason, _, violations = refused(lambda: list(stub.Select(request)))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_REQUEST")
        assert list(violations) == ["cursor"]

    def test_a_caller_that_leaves_a_stream_occupies_no_connection(self, served: Served) -> None:
        tags = [tag() for _ in range(40)]
        for start in range(0, 40, 10):
            append(served.stub, *(cell(one, MIB) for one in tags[start : start + 10]))
        pool: Any = served.store._engine.pool
        for _ in range(20):
            stream = served.stub.Select(pb.SelectRequest(predicate=any_of(tags)))
            next(iter(stream))
            stream.cancel()
        assert eventually(lambda: pool.checkedout() == 0)
        assert len(select(served.stub, *tags)) == 40


class TestPredicate:
    @pytest.mark.parametrize("call", ["Select", "Measure", "Delete"])
    @pytest.mark.parametrize(
        ("predicate", "field"),
        [
            (pb.Predicate(), "predicate"),
            (any_of([]), "predicate.any_of_tags.tags"),
            (any_of([bytes(16), bytes(15)]), "predicate.any_of_tags.tags[1]"),
        ],
    )
    def test_a_bad_predicate_names_its_field(
        self, stub: StorageServiceStub, call: str, predicate: pb.Predicate, field: str
    ) -> None:
        code, reason, _, violations = refused(lambda: ask(stub, call, predicate))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_REQUEST")
        assert list(violations) == [field]


class TestMeasure:
    def test_measure_counts_what_select_streams(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=random.randrange(1, 3000)) for _ in range(1500)]
        append(stub, *cells)
        tags = [one.tag for one in cells[:1100]]
        measured = stub.Measure(pb.MeasureRequest(predicate=any_of(tags + tags)))
        streamed = select(stub, *tags)
        assert measured.cells == len(streamed) == 1100
        assert measured.bytes == sum(len(one.sealed) for one in streamed)

    def test_no_match_measures_as_zero(self, stub: StorageServiceStub) -> None:
        assert stub.Measure(pb.MeasureRequest(predicate=any_of([tag()]))) == pb.MeasureResponse(cells=0, bytes=0)


class TestDelete:
    def test_delete_removes_what_matches_and_may_be_sent_again(self, stub: StorageServiceStub) -> None:
        cells = [cell() for _ in range(1200)]
        append(stub, *cells)
        gone = pb.DeleteRequest(predicate=any_of([one.tag for one in cells[:1100]] + [tag()]))
        assert stub.Delete(gone).cells == 1100
        assert stub.Delete(gone).cells == 0
        assert select(stub, *[one.tag for one in cells]) == ascending(cells[1100:])

    def test_another_cell_can_be_stored_under_a_deleted_tag(self, stub: StorageServiceStub) -> None:
        old = cell()
        append(stub, old)
        stub.Delete(pb.DeleteRequest(predicate=any_of([old.tag])))
        new = cell(old.tag)
        append(stub, new)
        assert select(stub, old.tag) == [new]


class TestLimits:
    SMALL = Limits(max_tags_per_predicate=3, max_cells_per_append=4, max_cell_bytes=100, max_message_bytes=100_000)

    def test_describe_returns_the_default_limits(self, stub: StorageServiceStub) -> None:
        limits = stub.Describe(pb.DescribeRequest()).limits
        assert limits == pb.Limits(
            max_tags_per_predicate=65_536,
            max_cells_per_append=16_384,
            max_cell_bytes=8_388_608,
            max_message_bytes=33_554_432,
        )

    @pytest.mark.parametrize("call", ["Select", "Measure", "Delete"])
    def test_a_predicate_with_too_many_tags_is_refused(self, limited: Limited, call: str) -> None:
        stub = limited(self.SMALL)
        ask(stub, call, any_of([tag() for _ in range(3)]))
        code, reason, metadata, _ = refused(lambda: ask(stub, call, any_of([tag() for _ in range(4)])))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_PREDICATE_TOO_LARGE")
        assert metadata == {"tags": "4", "limit": "3"}

    def test_an_append_with_too_many_cells_is_refused(self, limited: Limited) -> None:
        stub = limited(self.SMALL)
        code, reason, metadata, _ = refused(lambda: append(stub, *(cell() for _ in range(5))))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_TOO_MANY_CELLS")
        assert metadata == {"cells": "5", "limit": "4"}

    def test_a_cell_with_too_many_bytes_is_refused(self, limited: Limited) -> None:
        stub = limited(self.SMALL)
        assert append(stub, cell(size=100)) == 1
        valid = cell(size=10)
        code, reason, metadata, _ = refused(lambda: append(stub, valid, cell(size=101)))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_CELL_TOO_LARGE")
        assert metadata == {"bytes": "101", "limit": "100"}
        assert select(stub, valid.tag) == []

    def test_a_message_with_too_many_bytes_is_refused(self, limited: Limited) -> None:
        stub = limited(self.SMALL)
        with pytest.raises(grpc.RpcError) as caught:
            append(stub, cell(size=100_001))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_the_largest_predicate_is_answered(self, stub: StorageServiceStub) -> None:
        stored = cell()
        append(stub, stored)
        tags = [os.urandom(16) for _ in range(65_535)]
        assert select(stub, stored.tag, *tags) == [stored]


class TestDescribe:
    def test_describe_returns_the_store_and_its_size(self, stub: StorageServiceStub, storage_url: str) -> None:
        append(stub, *(cell(size=1000) for _ in range(1000)))
        described = stub.Describe(pb.DescribeRequest())
        assert described.schema_version == 2
        assert described.store.split()[0] == {"mysql": "mariadb", "sqlite": "sqlite"}[storage_url.split(":")[0]]
        assert described.bytes > 0
        assert eventually(lambda: 500 < stub.Describe(pb.DescribeRequest()).cells < 2000)


def ask(stub: StorageServiceStub, call: str, predicate: pb.Predicate) -> None:
    if call == "Select":
        list(stub.Select(pb.SelectRequest(predicate=predicate)))
    elif call == "Measure":
        stub.Measure(pb.MeasureRequest(predicate=predicate))
    else:
        stub.Delete(pb.DeleteRequest(predicate=predicate))
