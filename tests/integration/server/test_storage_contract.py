"""What storage_service.proto promises, on every kind of store."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacyplease.server import Limits
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1.storage_service_pb2_grpc import StorageServiceStub
from tests.services.cells import any_of, append, ascending, cell, ref, refusal, select, tag
from tests.services.patience import eventually
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

    def test_every_byte_value_survives(self, stub: StorageServiceStub) -> None:
        stored = pb.Cell(tag=bytes(range(16)), cell_id=b"'\"\\%_\0\n\r" * 2, sealed=bytes(range(256)) * 5)
        append(stub, stored)
        assert select(stub, stored.tag) == [stored]

    def test_a_call_may_be_sent_again(self, stub: StorageServiceStub) -> None:
        cells = [cell() for _ in range(5)]
        assert append(stub, *cells) == append(stub, *cells) == 5
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    def test_a_stored_cell_is_left_as_it_is(self, stub: StorageServiceStub) -> None:
        first, fresh = cell(), cell()
        append(stub, first)
        other = pb.Cell(tag=first.tag, cell_id=first.cell_id, sealed=b"other")
        assert append(stub, other, fresh) == 2
        assert select(stub, first.tag) == [first]
        assert select(stub, fresh.tag) == [fresh]

    def test_the_first_of_two_cells_with_one_name_counts(self, stub: StorageServiceStub) -> None:
        first = pb.Cell(tag=tag(), cell_id=tag(), sealed=b"z")
        append(stub, first, pb.Cell(tag=first.tag, cell_id=first.cell_id, sealed=b"a"))
        assert select(stub, first.tag) == [first]

    @pytest.mark.parametrize(
        ("bad", "field"),
        [
            (pb.Cell(tag=b"short", cell_id=bytes(16), sealed=b"x"), "cells[1].tag"),
            (pb.Cell(tag=bytes(16), cell_id=bytes(17), sealed=b"x"), "cells[1].cell_id"),
            (pb.Cell(tag=bytes(16), cell_id=bytes(16)), "cells[1].sealed"),
        ],
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

        def insert_and_fail(connection: object, cells: object) -> None:
            insert(connection, cells)
            raise RuntimeError("after the write")

        monkeypatch.setattr(store, "_insert", insert_and_fail)
        lost = cell()
        with pytest.raises(grpc.RpcError) as caught:
            append(stub, lost)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "after the write" not in str(caught.value)
        assert select(stub, lost.tag) == []

    def test_no_cells_are_refused(self, stub: StorageServiceStub) -> None:
        assert refused(lambda: append(stub))[3] == {"cells": "expected at least 1 entry, got 0"}

    def test_violations_fit_into_a_trailer(self, stub: StorageServiceStub) -> None:
        bad = [pb.Cell(tag=b"1", cell_id=b"2", sealed=b"3")] * 5000
        assert len(refused(lambda: append(stub, *bad))[3]) == 16

    def test_the_largest_cell_is_stored_whatever_its_bytes(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=8 * MIB), pb.Cell(tag=tag(), cell_id=tag(), sealed=bytes(8 * MIB))]
        append(stub, *cells)
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    def test_many_cells_of_all_sizes_are_stored(self, stub: StorageServiceStub) -> None:
        sizes = [1, 63 * KIB, 64 * KIB, 65 * KIB, MIB, 3 * MIB] + [300] * 4000
        cells = [cell(size=size) for size in sizes]
        assert append(stub, *cells) == len(cells)
        assert select(stub, *[one.tag for one in cells]) == ascending(cells)

    def test_appends_that_run_at_once_all_arrive(self, stub: StorageServiceStub) -> None:
        shared = [cell() for _ in range(200)]
        batches = [[*random.sample(shared, 200), *(cell() for _ in range(200))] for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda batch: append(stub, *batch), batches)) == [400] * 8
        everything = {one.cell_id: one for batch in batches for one in batch}.values()
        assert select(stub, *[one.tag for one in everything]) == ascending(everything)


class TestSelect:
    def test_no_match_is_an_empty_stream(self, stub: StorageServiceStub) -> None:
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
    def test_pages_keep_to_the_size_asked_for(self, stub: StorageServiceStub, asked: int, bound: int) -> None:
        of = tag()
        append(stub, *(cell(of, 20_000) for _ in range(200)))
        pages = list(stub.Select(pb.SelectRequest(predicate=any_of([of]), page_bytes=asked)))
        sizes = [sum(len(one.sealed) for one in page.cells) for page in pages]
        assert max(sizes) <= bound
        assert min(sizes[:-1]) > bound - 25_000

    def test_a_cell_larger_than_a_page_is_a_page(self, stub: StorageServiceStub) -> None:
        of = tag()
        append(stub, cell(of, 10), cell(of, 3 * MIB), cell(of, 3 * MIB), cell(of, 10))
        pages = list(stub.Select(pb.SelectRequest(predicate=any_of([of]), page_bytes=1)))
        assert sum(len(page.cells) for page in pages) == 4
        assert all(len(page.cells) == 1 for page in pages if len(page.cells[0].sealed) > MIB)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        counts=st.lists(st.integers(0, 30), min_size=1, max_size=12),
        size=st.integers(1, 20_000),
        page_bytes=st.integers(0, 200_000),
    )
    def test_every_cursor_resumes_with_exactly_the_rest(
        self, stub: StorageServiceStub, counts: list[int], size: int, page_bytes: int
    ) -> None:
        tags = [tag() for _ in counts]
        cells = [cell(of, size) for of, count in zip(tags, counts, strict=True) for _ in range(count)]
        if cells:
            append(stub, *cells)

        def stream(cursor: bytes) -> list[pb.SelectResponse]:
            wanted = pb.SelectRequest(predicate=any_of(tags), cursor=cursor, page_bytes=page_bytes)
            return list(stub.Select(wanted))

        pages = stream(b"")
        assert [one for page in pages for one in page.cells] == ascending(cells)
        for at, page in enumerate(pages):
            assert stream(page.cursor) == pages[at + 1 :]

    def test_a_cursor_resumes_over_many_statements(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=500) for _ in range(1800)]
        append(stub, *cells)
        predicate = any_of([one.tag for one in cells])
        seen, cursor = [], b""
        while page := next(stub.Select(pb.SelectRequest(predicate=predicate, cursor=cursor, page_bytes=1)), None):
            seen += page.cells
            cursor = page.cursor
        assert seen == ascending(cells)

    @pytest.mark.parametrize("cursor", [b"x", bytes(31), bytes(32), bytes(33)])
    def test_a_foreign_cursor_is_refused(self, stub: StorageServiceStub, cursor: bytes) -> None:
        request = pb.SelectRequest(predicate=any_of([tag()]), cursor=cursor)
        code, reason, _, violations = refused(lambda: list(stub.Select(request)))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_REQUEST")
        assert list(violations) == ["cursor"]

    def test_a_caller_that_goes_away_leaves_no_connection_behind(self, served: Served) -> None:
        of = tag()
        for _ in range(4):
            append(served.stub, *(cell(of, MIB) for _ in range(10)))
        pool = served.store._engine.pool
        for _ in range(20):
            stream = served.stub.Select(pb.SelectRequest(predicate=any_of([of])))
            next(stream)
            stream.cancel()
        assert eventually(lambda: pool.checkedout() == 0)
        assert len(select(served.stub, of)) == 40


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
    def test_it_counts_what_select_streams(self, stub: StorageServiceStub) -> None:
        cells = [cell(size=random.randrange(1, 3000)) for _ in range(1500)]
        append(stub, *cells)
        tags = [one.tag for one in cells[:1100]]
        measured = stub.Measure(pb.MeasureRequest(predicate=any_of(tags + tags)))
        streamed = select(stub, *tags)
        assert measured.cells == len(streamed) == 1100
        assert measured.bytes == sum(len(one.sealed) for one in streamed)

    def test_no_match_measures_as_zero(self, stub: StorageServiceStub) -> None:
        assert stub.Measure(pb.MeasureRequest(predicate=any_of([tag()]))) == pb.MeasureResponse(cells=0, bytes=0)


class TestReplace:
    def test_it_removes_and_stores(self, stub: StorageServiceStub) -> None:
        of = tag()
        old, kept, new = [cell(of) for _ in range(1300)], cell(of), [cell(of), cell()]
        append(stub, *old, kept)
        answer = stub.Replace(pb.ReplaceRequest(remove=map(ref, old), add=new))
        assert (answer.removed, answer.added) == (1300, 2)
        assert select(stub, of, new[1].tag) == ascending([kept, *new])

    def test_it_may_only_remove(self, stub: StorageServiceStub) -> None:
        old = cell()
        append(stub, old)
        assert stub.Replace(pb.ReplaceRequest(remove=[ref(old)])) == pb.ReplaceResponse(removed=1, added=0)
        assert select(stub, old.tag) == []

    def test_a_cell_may_be_replaced_by_one_of_its_name(self, stub: StorageServiceStub) -> None:
        old = cell()
        append(stub, old)
        new = pb.Cell(tag=old.tag, cell_id=old.cell_id, sealed=b"new")
        stub.Replace(pb.ReplaceRequest(remove=[ref(old)], add=[new]))
        assert select(stub, old.tag) == [new]

    def test_a_conflict_changes_nothing(self, stub: StorageServiceStub) -> None:
        of = tag()
        stored = [cell(of) for _ in range(700)]
        append(stub, *stored)
        request = pb.ReplaceRequest(remove=[*map(ref, stored), ref(cell(of))], add=[cell(of)])
        code, reason, _, _ = refused(lambda: stub.Replace(request))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_REPLACE_CONFLICT")
        assert select(stub, of) == ascending(stored)

    def test_sent_again_it_conflicts(self, stub: StorageServiceStub) -> None:
        old = cell()
        append(stub, old)
        request = pb.ReplaceRequest(remove=[ref(old)], add=[cell(old.tag)])
        stub.Replace(request)
        assert refused(lambda: stub.Replace(request))[1] == "ERROR_REASON_REPLACE_CONFLICT"

    def test_of_many_replacements_of_one_cell_exactly_one_wins(self, stub: StorageServiceStub) -> None:
        for _ in range(10):
            of = tag()
            old = [cell(of) for _ in range(3)]
            append(stub, *old)
            news = [cell(of) for _ in range(8)]

            def attempt(new: pb.Cell, old: list[pb.Cell] = old) -> str:
                named = random.sample(old, len(old))
                try:
                    stub.Replace(pb.ReplaceRequest(remove=map(ref, named), add=[new]))
                except grpc.RpcError as error:
                    return refusal(error)[1].reason
                return "won"

            with ThreadPoolExecutor(8) as pool:
                ended = list(pool.map(attempt, news))
            assert sorted(ended) == ["ERROR_REASON_REPLACE_CONFLICT"] * 7 + ["won"]
            assert select(stub, of) == [news[ended.index("won")]]

    def test_a_reader_sees_it_whole_or_not_at_all(self, stub: StorageServiceStub) -> None:
        of = tag()

        def generation(number: int) -> list[pb.Cell]:
            return [pb.Cell(tag=of, cell_id=os.urandom(16), sealed=bytes([number]) * 10_000) for _ in range(40)]

        def replace_often(current: list[pb.Cell]) -> None:
            for number in range(1, 30):
                following = generation(number)
                stub.Replace(pb.ReplaceRequest(remove=map(ref, current), add=following))
                current = following

        first = generation(0)
        append(stub, *first)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(replace_often, first)
            while not writing.done():
                pages = stub.Select(pb.SelectRequest(predicate=any_of([of]), page_bytes=1))
                seen = [one.sealed for page in pages for one in page.cells]
                assert len(seen) == 40
                assert len(set(seen)) == 1
            writing.result()

    @pytest.mark.parametrize(
        ("request_", "fields"),
        [
            (pb.ReplaceRequest(), ["remove"]),
            (pb.ReplaceRequest(remove=[pb.CellRef(tag=b"1", cell_id=bytes(16))]), ["remove[0].tag"]),
            (
                pb.ReplaceRequest(remove=[pb.CellRef(tag=bytes(16), cell_id=bytes(16))] * 2),
                ["remove[0]", "remove[1]"],
            ),
            (
                pb.ReplaceRequest(remove=[pb.CellRef(tag=bytes(16), cell_id=bytes(16))], add=[pb.Cell(tag=bytes(16))]),
                ["add[0].cell_id", "add[0].sealed"],
            ),
        ],
    )
    def test_a_bad_request_names_its_fields(
        self, stub: StorageServiceStub, request_: pb.ReplaceRequest, fields: list[str]
    ) -> None:
        code, reason, _, violations = refused(lambda: stub.Replace(request_))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_REQUEST")
        assert list(violations) == fields


class TestDelete:
    def test_it_removes_what_matches_and_may_be_sent_again(self, stub: StorageServiceStub) -> None:
        cells = [cell() for _ in range(1200)]
        append(stub, *cells)
        gone = pb.DeleteRequest(predicate=any_of([one.tag for one in cells[:1100]] + [tag()]))
        assert stub.Delete(gone).cells == 1100
        assert stub.Delete(gone).cells == 0
        assert select(stub, *[one.tag for one in cells]) == ascending(cells[1100:])


class TestLimits:
    SMALL = Limits(max_tags_per_predicate=3, max_cells_per_append=4, max_cell_bytes=100, max_message_bytes=100_000)

    def test_the_defaults_are_the_contract_s(self, stub: StorageServiceStub) -> None:
        limits = stub.Describe(pb.DescribeRequest()).limits
        assert limits == pb.Limits(
            max_tags_per_predicate=65_536,
            max_cells_per_append=16_384,
            max_cell_bytes=8_388_608,
            max_message_bytes=33_554_432,
        )

    @pytest.mark.parametrize("call", ["Select", "Measure", "Delete"])
    def test_tags_in_a_predicate(self, limited: Limited, call: str) -> None:
        stub = limited(self.SMALL)
        ask(stub, call, any_of([tag() for _ in range(3)]))
        code, reason, metadata, _ = refused(lambda: ask(stub, call, any_of([tag() for _ in range(4)])))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_PREDICATE_TOO_LARGE")
        assert metadata == {"tags": "4", "limit": "3"}

    def test_cells_in_an_append(self, limited: Limited) -> None:
        stub = limited(self.SMALL)
        code, reason, metadata, _ = refused(lambda: append(stub, *(cell() for _ in range(5))))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_TOO_MANY_CELLS")
        assert metadata == {"cells": "5", "limit": "4"}

    @pytest.mark.parametrize(("remove", "add"), [(5, 0), (1, 5)])
    def test_cells_in_a_replacement(self, limited: Limited, remove: int, add: int) -> None:
        stub = limited(self.SMALL)
        request = pb.ReplaceRequest(
            remove=[ref(cell()) for _ in range(remove)],
            add=[cell() for _ in range(add)],
        )
        code, reason, metadata, _ = refused(lambda: stub.Replace(request))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_TOO_MANY_CELLS")
        assert metadata == {"cells": "5", "limit": "4"}

    def test_bytes_in_a_cell(self, limited: Limited) -> None:
        stub = limited(self.SMALL)
        assert append(stub, cell(size=100)) == 1
        kept_out = cell(size=10)
        code, reason, metadata, _ = refused(lambda: append(stub, kept_out, cell(size=101)))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_CELL_TOO_LARGE")
        assert metadata == {"bytes": "101", "limit": "100"}
        assert select(stub, kept_out.tag) == []

    def test_bytes_in_a_message(self, limited: Limited) -> None:
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
    def test_it_tells_the_store_and_its_size(self, stub: StorageServiceStub, storage_url: str) -> None:
        append(stub, *(cell(size=1000) for _ in range(1000)))
        described = stub.Describe(pb.DescribeRequest())
        assert described.schema_version == 1
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
