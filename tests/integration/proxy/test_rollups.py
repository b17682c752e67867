"""Roll-ups: the same counts without the records of settled segments, through compaction, renewal and erasure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import grpc
import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy.compaction import garbage_collection, plan
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.v1 import (
    explain_service_pb2,
    explain_service_pb2_grpc,
    keys_service_pb2,
    verification_service_pb2,
)
from privacyplease.proxy.v1 import occupancy_service_pb2 as pb
from tests.integration.proxy.test_compaction import DAY, START, compact, sessions, settled
from tests.services.cells import refusal
from tests.services.home_inspector import inspecting
from tests.services.proxy import Proxied, instant, interval, proxying
from tests.services.storage import Served
from tests.services.tampering import Database

WEEK = 7 * DAY
EVER = START - 90 * DAY, START + 90 * DAY
GROUPS = [pb.PlaceGroup(name="floor", places=["ap-1", "ap-2"])]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of a few thousand sessions in many segments, each with a roll-up; replaced cells are deleted at once."""
    monkeypatch.setattr(plan, "FULL_RECORDS", 400)
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    monkeypatch.setattr(garbage_collection, "KEPT_MS", -1)


def week(seed: int = 1) -> pa.Table:
    return sessions(8_000, seed=seed, width=WEEK)


@pytest.fixture
def proxy(tmp_path: Path, storage: Served) -> Iterator[Proxied]:
    """A proxy without a cell cache, so that each question reaches the server."""
    with proxying(tmp_path / "home", storage.address, cache_bytes=0) as running:
        yield running


@pytest.fixture
def compacted(proxy: Proxied) -> Proxied:
    proxy.ingest("wifi", week())
    settled(proxy)
    return proxy


def segments(proxy: Proxied) -> list[ManifestRow]:
    with inspecting(proxy.home) as inspector:
        return inspector.rows(SegmentState.LIVE)


def remove(proxy: Proxied, url: str, rows: list[ManifestRow], *groups: Group) -> None:
    """Makes the server lose the cells of some segments."""
    database = Database(url)
    with inspecting(proxy.home) as inspector:
        lost = set(inspector.tags(rows, *groups))
    kept = [row for row in database.rows() if row.tag not in lost]
    assert len(kept) == len(database.rows()) - len(lost) < len(database.rows())
    database.restore(kept)
    database.close()


def count(proxy: Proxied, when: tuple[int, int] = EVER, **more: object) -> pb.CountResponse:
    return proxy.occupancy.Count(pb.CountRequest(interval=interval(*when), **more))  # type: ignore[arg-type]


def explain(proxy: Proxied, when: tuple[int, int] = EVER, **more: str) -> explain_service_pb2.ExplainResponse:
    stub = explain_service_pb2_grpc.ExplainServiceStub(proxy.channel)
    return stub.Explain(explain_service_pb2.ExplainRequest(interval=interval(*when), **more))


def by_place(proxy: Proxied, when: tuple[int, int] = EVER) -> dict[str, int]:
    request = pb.CountByPlaceRequest(interval=interval(*when), groups=GROUPS)
    return {
        place: people
        for page in proxy.occupancy.CountByPlace(request)
        for place, people in zip(page.places, page.distinct_devices, strict=True)
    }


def expected(of: pa.Table, when: tuple[int, int], *places: str) -> int:
    starts = of["association_time"].cast(pa.int64()).to_numpy()
    ends = starts + of["session_duration"].cast(pa.int64()).to_numpy()
    chosen = (starts <= when[1]) & (ends >= when[0])
    if places:
        chosen &= np.isin(of["ap_name"].to_numpy(), places)
    return len(np.unique(of["client_mac"].to_numpy()[chosen]))


def test_counts_are_those_of_the_records_over_any_time(compacted: Proxied) -> None:
    assert sum(Group.ROLLUP in row.groups for row in segments(compacted)) > 16
    late = sessions(300, seed=2, width=WEEK, devices=70)  # some of them new
    compacted.ingest("wifi", late)
    everything = pa.concat_tables([week(), late])
    random = Random(3)
    ranges = [
        (begin, begin + random.randrange(2 * WEEK)) for begin in random.sample(range(START - DAY, START + WEEK), 12)
    ]
    for when in [EVER, (START + DAY, START + WEEK), *ranges]:
        answer = count(compacted, when)
        assert not answer.HasField("estimate")
        assert answer.distinct_devices == expected(everything, when)
        assert count(compacted, when, place="ap-3").distinct_devices == expected(everything, when, "ap-3")
        some = count(compacted, when, places=["ap-1", "ap-4", "nowhere"])
        assert some.distinct_devices == expected(everything, when, "ap-1", "ap-4")
        found = by_place(compacted, when)
        assert found.get("floor", 0) == expected(everything, when, "ap-1", "ap-2")
        assert found.get("ap-3", 0) == expected(everything, when, "ap-3")


def test_segments_inside_the_interval_are_counted_without_their_records(compacted: Proxied, sqlite_url: str) -> None:
    remove(compacted, sqlite_url, segments(compacted), Group.CORE, Group.REST)
    assert count(compacted).distinct_devices == expected(week(), EVER)
    assert count(compacted, place="ap-3").distinct_devices == expected(week(), EVER, "ap-3")
    for ask in (lambda: compacted.records("wifi", *EVER), lambda: by_place(compacted)):
        assert failure(ask) == "ERROR_REASON_CELLS_MISSING"


def test_what_is_explained_is_what_a_count_asks_for(compacted: Proxied) -> None:
    late = sessions(300, seed=2, width=WEEK)
    compacted.ingest("wifi", late)
    when = START + DAY, START + WEEK
    touched = [row.summary for row in segments(compacted) if row.summary.reach >= when[0]]
    inside_it = [about for about in touched if about.first >= when[0] and about.last <= when[1]]
    assert len(touched) > len(inside_it) >= 8
    before = explain(compacted, when)
    assert before.answer == count(compacted, when).distinct_devices == expected(pa.concat_tables([week(), late]), when)
    assert (before.rollup_tags, before.rollup_cells) == (len(inside_it), len(inside_it))
    assert before.tags == before.cells == len(touched)
    assert any(cell.rollup for cell in before.first_cells)
    assert before.sketches_opened == len(inside_it) * 6  # five places and all
    assert before.sketches_kept == len(inside_it)
    assert 0 < before.records_kept <= before.records_opened < len(week())
    one = explain(compacted, when, place="ap-3")
    assert (one.tags, one.rollup_tags, one.bytes) == (before.tags, before.rollup_tags, before.bytes)
    assert one.sketches_kept == len(inside_it) < one.sketches_opened
    assert explain(compacted, when) == before  # even after cells were opened


def test_a_withheld_roll_up_is_detected(compacted: Proxied, sqlite_url: str) -> None:
    remove(compacted, sqlite_url, segments(compacted)[:1], Group.ROLLUP)
    assert failure(lambda: count(compacted)) == "ERROR_REASON_CELLS_MISSING"
    compacted.records("wifi", *EVER)  # which needs no roll-up
    by_place(compacted)
    *_, last = compacted.verification.Verify(verification_service_pb2.VerifyRequest(dataset="wifi"))
    assert (last.summary.missing, last.summary.damaged) == (1, 0)


def test_an_estimate_says_so_and_is_given_unless_the_caller_insists(
    compacted: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unions of 32 hashes, for 50 devices; the bounds are checked with true sizes in the unit test."""
    exact = pb.CountResponse(distinct_devices=expected(week(), EVER))
    places = by_place(compacted)
    assert count(compacted) == exact
    monkeypatch.setattr(rollups, "LOG_SIZE", 5)
    estimate = count(compacted)
    assert estimate.HasField("estimate")
    assert estimate.estimate.at_least <= estimate.distinct_devices <= estimate.estimate.at_most
    assert explain(compacted).estimate == estimate.estimate
    assert count(compacted, exact=True) == exact
    assert by_place(compacted) == places


def test_compacting_again_replaces_roll_ups_and_leaves_none_behind(compacted: Proxied, sqlite_url: str) -> None:
    late = week(seed=2)
    compacted.ingest("wifi", late)
    settled(compacted)
    with inspecting(compacted.home) as inspector:
        assert {(row.state, Group.ROLLUP in row.groups) for row in inspector.rows()} == {(SegmentState.LIVE, True)}
        assert inspector.strays(Database(sqlite_url)) == set()
    assert count(compacted).distinct_devices == expected(pa.concat_tables([week(), late]), EVER)


def test_destroying_a_period_leaves_no_roll_up_of_it(compacted: Proxied, sqlite_url: str) -> None:
    assert count(compacted).distinct_devices
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", before=instant(START + 90 * DAY))
    compacted.keys.DestroyEpochs(request)
    with inspecting(compacted.home) as inspector:
        assert inspector.cells(Database(sqlite_url)) == []
    assert count(compacted) == pb.CountResponse()


def test_roll_ups_count_after_the_keys_were_renewed(compacted: Proxied, storage: Served) -> None:
    before = count(compacted), by_place(compacted)
    compacted.keys.RotateEpoch(keys_service_pb2.RotateEpochRequest(dataset="wifi", containing=instant(START + DAY)))
    assert (count(compacted), by_place(compacted)) == before
    compact(compacted)
    assert explain(compacted).rollup_tags
    with proxying(compacted.home.path, storage.address) as again:
        assert (count(again), by_place(again)) == before


def test_an_exported_keyring_counts_the_same_without_them(compacted: Proxied, storage: Served, tmp_path: Path) -> None:
    request = keys_service_pb2.ExportKeyringRequest(interval=interval(*EVER), passphrase="a partner's passphrase")
    file = tmp_path / "wifi.keyring"
    file.write_bytes(b"".join(part.keyring for part in compacted.keys.ExportKeyring(request)))
    with proxying(tmp_path / "partner", storage.address, passphrase="a partner's passphrase", keyring=file) as partner:
        assert (count(partner), by_place(partner)) == (count(compacted), by_place(compacted))


def failure(ask: Callable[[], object]) -> str:
    """The reason of a failed call."""
    with pytest.raises(grpc.RpcError) as refused:
        ask()
    return str(refusal(refused.value)[1].reason)
