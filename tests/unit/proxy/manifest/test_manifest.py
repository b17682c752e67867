"""The manifest: rows come back unchanged, changes are all or nothing, and two proxies see the same."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select, update

from privacyplease.proxy.errors import KeyUnavailableError, RolledBackError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.changes import Change, SegmentName, StaleError, moves, removals
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import CellEntry, ManifestRow, SegmentState
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import DIGEST_BYTES, Digest
from privacyplease.proxy.segments.segment import Summary
from privacyplease.proxy.trusted_store.tables import heads, segments


def row(number: int, first: int = 0, last: int = 10, reach: int = 10, records: int = 3) -> ManifestRow:
    entries = {group: CellEntry(1_280, Digest(bytes([group]) * DIGEST_BYTES)) for group in (Group.CORE, Group.REST)}
    summary = Summary(records, first, last, reach, reach - first, b"filter")
    return ManifestRow("wifi", SegmentId(number), SegmentState.SENT, 0, KeyId(666), False, 0, summary, entries, 1)


def live(manifest: Manifest, *rows: ManifestRow) -> list[ManifestRow]:
    sent = manifest.commit(Change(added=rows)).rows
    return manifest.commit(Change(moved=moves(sent, SegmentState.LIVE))).rows


def test_a_row_comes_back_as_it_was(store: Engine, keyring: Keyring) -> None:
    (put,) = live(Manifest(store, keyring), row(1))
    assert Manifest(store, keyring).view("wifi").rows == [put]
    assert put == row(1)._replace(state=SegmentState.LIVE, version=2, changed_at=put.changed_at)


def test_questions_are_answered_from_live_segments_that_can_hold_a_record(store: Engine, keyring: Keyring) -> None:
    manifest = Manifest(store, keyring)
    live(manifest, row(1, 0, 5, 100), row(2, 50, 60, 70), row(3, 90, 95, 99), row(4, 40, 40, 40, records=0))
    manifest.commit(Change(added=[row(5, 50, 60, 70)]))

    def touched(start: int, end: int) -> list[int]:
        return [found.number for found in manifest.view("wifi").overlapping(Interval(start, end))]

    assert touched(71, 89) == [1]
    assert touched(70, 90) == [1, 2, 3]
    assert touched(40, 40) == [1]
    assert touched(101, 200) == []
    assert manifest.view("bikes").overlapping(Interval(0, 100)) == []


def test_a_change_is_all_or_nothing(store: Engine, keyring: Keyring) -> None:
    manifest = Manifest(store, keyring)
    (first,) = live(manifest, row(1))
    head = manifest.head()
    with pytest.raises(StaleError):
        manifest.commit(
            Change(added=[row(2)], moved=moves([first._replace(state=SegmentState.SENT)], SegmentState.LIVE))
        )
    assert [held.number for held in manifest.rows("wifi")] == [1]
    assert manifest.head() == Manifest(store, keyring).head() == head

    def refuse(_connection: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        manifest.commit(Change(added=[row(2)]), check=refuse)
    assert Manifest(store, keyring).rows("wifi") == manifest.rows("wifi")


def test_proxies_over_one_store_see_each_others_changes(store: Engine, keyring: Keyring) -> None:
    one, other = Manifest(store, keyring), Manifest(store, keyring)
    (first, second) = live(one, row(1), row(2))
    assert other.view("wifi").rows == one.view("wifi").rows
    one.commit(Change(removed=removals([first])))
    other.commit(Change(moved=moves([second], SegmentState.RETIRED)))
    assert one.rows("wifi") == other.rows("wifi") == Manifest(store, keyring).rows("wifi")
    assert [held.number for held in one.rows("wifi")] == [2]
    assert one.head() == other.head()


def test_moving_a_segment_that_another_proxy_moved_is_stale(store: Engine, keyring: Keyring) -> None:
    one, other = Manifest(store, keyring), Manifest(store, keyring)
    found = live(one, row(1))
    other.commit(Change(moved=moves(found, SegmentState.RETIRED)))
    with pytest.raises(StaleError):
        one.commit(Change(moved=moves(found, SegmentState.RETIRED)))


def test_no_segment_number_is_assigned_twice(store: Engine, keyring: Keyring) -> None:
    one, other = Manifest(store, keyring), Manifest(store, keyring)
    given = [*one.numbers("wifi", 3), *other.numbers("wifi", 2), *one.numbers("wifi", 1)]
    assert given == [1, 2, 3, 4, 5, 6]
    assert one.numbers("bikes", 1) == [1]
    one.skip_numbers("wifi", 1_000)
    one.skip_numbers("wifi", 10)
    assert other.numbers("wifi", 1) == [1_000]


@pytest.mark.parametrize(
    "change", [{"state": SegmentState.RETIRED}, {"number": 2}, {"version": 9}, {"sealed": b"x" * 80}]
)
def test_a_row_that_was_changed_does_not_open(store: Engine, keyring: Keyring, change: dict[str, object]) -> None:
    live(Manifest(store, keyring), row(1))
    with store.begin() as connection:
        connection.execute(update(segments).values(**change))
    with pytest.raises(KeyUnavailableError, match="row of the manifest"):
        Manifest(store, keyring).view("wifi")


def test_a_manifest_with_an_older_head_in_the_store_is_rejected(store: Engine, keyring: Keyring) -> None:
    running = Manifest(store, keyring)
    live(running, row(1))
    with store.connect() as connection:
        older = connection.execute(select(heads)).one()
    live(running, row(2))
    with store.begin() as connection:
        connection.execute(update(heads).values(tag=older.tag, sealed=older.sealed, version=running.head().version + 1))
    for manifest in (running, Manifest(store, keyring)):
        with pytest.raises(RolledBackError):
            manifest.head()


def test_only_an_announced_head_counts_in_the_sequence(store: Engine, keyring: Keyring) -> None:
    manifest = Manifest(store, keyring)
    assert manifest.commit(Change(added=[row(1)])).head is None
    assert manifest.commit(Change(added=[row(2)]), announced=True).head is not None
    assert (manifest.head().version, manifest.head().sequence) == (2, 1)


def test_the_same_number_in_two_data_sets_names_two_segments(store: Engine, keyring: Keyring) -> None:
    manifest = Manifest(store, keyring)
    live(manifest, row(1), row(1)._replace(dataset="bikes"))
    manifest.commit(Change(removed=[SegmentName("wifi", SegmentId(1))]))
    assert manifest.rows("wifi") == []
    assert [held.number for held in manifest.rows("bikes")] == [1]
    assert manifest.size()[SegmentState.LIVE] == manifest.outgrown == 1


def test_a_store_that_is_rolled_back_under_a_running_proxy_is_refused(store: Engine, keyring: Keyring) -> None:
    running = Manifest(store, keyring)
    live(running, row(1))
    with store.connect() as connection:
        older = connection.execute(select(heads)).one()
    live(running, row(2))
    with store.begin() as connection:
        connection.execute(update(heads).values(tag=older.tag, sealed=older.sealed, version=older.version))
    with pytest.raises(RolledBackError):
        running.head()
