"""A core with the lifecycle of segments and keys, over a home in a folder: a proxy except for its services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa

from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.flush_recovery import FlushRecovery
from privacyplease.proxy.lifecycle.key_renewal import KeyRenewal
from privacyplease.proxy.lifecycle.restore import Restore
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.lifecycle.verification import Verifier
from privacyplease.proxy.manifest.changes import Change, moves, removals
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKeys
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.manifest.witnesses import Witness
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records import dataset as datasets
from privacyplease.proxy.records import tables
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import CheckedBatch
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments import core as cores
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.pages import unpack
from privacyplease.proxy.segments.segment import SegmentSealer
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import StorageClient
from tests.services.fake_storage import FakeStorage
from tests.services.read_write_core import ReadWriteCore

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class LifecycleCore(ReadWriteCore):
    """Also runs the lifecycle of segments and keys. Another one over the same home stands for the next start."""

    def __init__(self, home: Path, server: FakeStorage, witnesses: Sequence[Witness] = ()) -> None:
        """Opens a home, which is created on first use."""
        super().__init__(home, server, 64 << 20, witnesses)
        self.storage = cast(StorageClient, server)
        self.home = Home(home)
        self.datasets = datasets.load()
        self.wifi: Dataset = self.datasets["wifi"]
        self.erasure_log = ErasureLog(self.store, self.epoch_keys)
        self.segment_deleter = SegmentDeleter(self.manifest, self.cells, self.storage)
        self.destroyed_keys = DestroyedKeys(self.manifest, self.storage, self.keyring)
        drained = self.writer.drain, [self.search.questions]
        self.eraser = EpochEraser(
            self.keyring,
            self.manifest,
            self.rollback_check,
            self.segment_deleter,
            self.erasure_log,
            self.destroyed_keys,
            *drained,
            self.cache,
        )
        self.flush_recovery = FlushRecovery(
            self.datasets, self.manifest, self.cells, self.storage, self.segment_deleter, self.rollback_check
        )
        self.key_renewal = KeyRenewal(
            self.datasets,
            self.keyring,
            self.manifest,
            self.rollback_check,
            self.eraser,
            lambda *args: self.rewrite(*args),
        )
        self.verifier = Verifier(self.manifest, self.cells, self.storage, self.search.questions)

    @property
    def restore(self) -> Restore:
        """What continues from an earlier state."""
        return Restore(self.datasets, self.store, self.keyring, self.manifest, self.storage, self.rollback_check)

    def ingest(self, records: pa.Table, dataset: Dataset | None = None) -> CheckedBatch:
        """Stores records as the ingest service does; once they are durable, returns which were accepted."""
        target = dataset or self.wifi
        with self.erasure_log.writing():
            checked = self.erasure_log.reject_erased(tables.check(records, target), target)
            pending = self.writer.submit(checked.records, target) if len(checked.records) else None
        if pending:
            pending.wait()
        return checked

    def devices(self, interval: Interval = EVER, columns: tuple[str, ...] = ("ssid",)) -> set[int]:
        """The devices that a question finds; every cell of the interval is fetched and opened for it."""
        devices: set[int] = set()
        with self.search.ask(Question(self.wifi, interval, columns=columns)) as answer:
            for hit in answer.hits:
                devices |= set(hit.table(self.wifi, columns)[self.wifi.subject].to_pylist())
        return devices

    def rows(self, *states: SegmentState) -> list[ManifestRow]:
        """Rows of the manifest."""
        return self.manifest.rows(self.wifi.name, *states)

    def tags_of(self, rows: Iterable[ManifestRow]) -> list[Tag]:
        """The tags of all their cells."""
        chosen = list(rows)
        return [tag for group in Group for tag in self.cells.tags(chosen, group)]

    def rewrite(self, dataset: Dataset, rows: Sequence[ManifestRow], key: KeyId, *, settled: bool = True) -> int:
        """Replaces live segments by one under a key, as compaction does."""
        records = pa.concat_tables(self._read(dataset, row) for row in rows)
        (number,) = self.manifest.numbers(dataset.name, 1)
        segment = SegmentSealer(self.keyring).seal(records, dataset, key, number, settled=settled)
        sent = self.manifest.commit(Change(added=[ManifestRow.of(segment, dataset.name, key, settled=settled)]))
        self.server.append([group.cell for group in segment.groups.values()])
        stored = self.manifest.commit(Change(moved=moves(sent.rows, SegmentState.STORED)))
        self.manifest.commit(Change(moved=[*moves(rows, SegmentState.RETIRED), *moves(stored.rows, SegmentState.LIVE)]))
        return len(records)

    def compact(self) -> None:
        """Merges all live segments of each epoch."""
        live = self.rows(SegmentState.LIVE)
        for key in sorted({row.key for row in live}):
            self.rewrite(self.wifi, [row for row in live if row.key == key], key)

    def collect(self, needed_after: int | None) -> None:
        """Deletes retired segments that no backup needs."""
        retired = self.rows(SegmentState.RETIRED)
        unneeded = [row for row in retired if needed_after is None or row.version <= needed_after]
        self.server.delete(self.tags_of(unneeded))
        self.manifest.commit(Change(removed=removals(unneeded)))

    def send(self, records: pa.Table, *, cells: int = 2, settled: bool = False) -> ManifestRow:
        """An interrupted flush: its segment is SENT, and some of its cells are stored."""
        checked = tables.check(records, self.wifi).records.combine_chunks()
        starts, _ = tables.spans(checked, self.wifi)
        key = self.keyring.ensure(self.wifi.name, int(self.wifi.epochs(starts)[0]))
        (number,) = self.manifest.numbers(self.wifi.name, 1)
        segment = SegmentSealer(self.keyring).seal(checked, self.wifi, key, SegmentId(number), settled=settled)
        (row,) = self.manifest.commit(
            Change(added=[ManifestRow.of(segment, self.wifi.name, key, settled=settled)])
        ).rows
        self.server.append([group.cell for group in segment.groups.values()][:cells])
        return row

    def _read(self, dataset: Dataset, row: ManifestRow) -> pa.Table:
        (core_tag, core), (rest_tag, rest) = (
            next(iter(self.cells.tags([row], group).items())) for group in (Group.CORE, Group.REST)
        )
        cells = self.cells.fetch({core_tag: core, rest_tag: rest})
        columns = cores.Core(self.cells.open(core, core_tag, cells[core_tag])).columns()
        starts, durations = cores.timed(columns)
        named = dict(zip(dataset.required, (columns.subjects, columns.places, starts, durations), strict=True))
        others = unpack(self.cells.open(rest, rest_tag, cells[rest_tag]))
        named |= {name: others[name] for name in others.column_names}
        return pa.table({field.name: named[field.name] for field in dataset.schema}, schema=dataset.schema)


def sessions(first: int, count: int, start: int, spread: int = 7 * HOUR) -> pa.Table:
    """Sessions of distinct devices, at a few places within some hours."""
    numbers = range(first, first + count)
    starts = [start + number * MINUTE % spread for number in numbers]
    return pa.table(
        {
            "client_mac": list(numbers),
            "ap_name": [f"ap-{number % 3}" for number in numbers],
            "association_time": pa.array(starts, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([number % 5 * HOUR for number in numbers], pa.duration("ms")),
        }
    )
