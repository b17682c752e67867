"""A core with all that becomes of segments and keys, over a home in a folder: a proxy but for its services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa

from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.lifecycle.disposal import Disposal
from privacyplease.proxy.lifecycle.erasing import Erasing
from privacyplease.proxy.lifecycle.erasures import Erasures
from privacyplease.proxy.lifecycle.renewing import Renewing
from privacyplease.proxy.lifecycle.restoring import Restoring
from privacyplease.proxy.lifecycle.settling import Settling
from privacyplease.proxy.lifecycle.verification import Verification
from privacyplease.proxy.manifest.changes import Change, moves, removals
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.manifest.witnesses import Witness
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records import dataset as datasets
from privacyplease.proxy.records import tables
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import Checked
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments import core as cores
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.pages import unpack
from privacyplease.proxy.segments.segment import Sealing
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import Storage
from tests.services.core import Core
from tests.services.fake_storage import FakeStorage

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class ProxyCore(Core):
    """What becomes of segments and keys, too. Made again over the same home it is the next start."""

    def __init__(self, home: Path, server: FakeStorage, witnesses: Sequence[Witness] = ()) -> None:
        """Stands on a home, made on first use."""
        super().__init__(home, server, 64 << 20, witnesses)
        self.storage = cast("Storage", server)
        self.home = Home(home)
        self.datasets = datasets.load()
        self.wifi: Dataset = self.datasets["wifi"]
        self.erasures = Erasures(self.store)
        self.disposal = Disposal(self.manifest, self.cells, self.storage)
        drained = self.writer.drain, [self.search.questions]
        self.erasing = Erasing(
            self.keyring, self.manifest, self.currency, self.disposal, self.erasures, *drained, self.memory
        )
        self.settling = Settling(self.datasets, self.manifest, self.cells, self.storage, self.disposal, self.currency)
        self.renewing = Renewing(
            self.datasets, self.keyring, self.manifest, self.currency, self.erasing, lambda *given: self.rewrite(*given)
        )
        self.verification = Verification(self.manifest, self.cells, self.storage, self.search.questions)

    @property
    def restoring(self) -> Restoring:
        """What goes on from an earlier state."""
        return Restoring(self.datasets, self.store, self.keyring, self.manifest, self.storage, self.currency)

    def ingest(self, records: pa.Table, dataset: Dataset | None = None) -> Checked:
        """Stores records as the ingest service does. Returns what was taken, once it is durable."""
        of = dataset or self.wifi
        with self.erasures.writing():
            checked = self.erasures.turn_away(tables.check(records, of), of)
            pending = self.writer.submit(checked.records, of) if len(checked.records) else None
        if pending:
            pending.wait()
        return checked

    def devices(self, interval: Interval = EVER, columns: tuple[str, ...] = ("ssid",)) -> set[int]:
        """The devices that a question finds; every cell of the interval is fetched and opened for it."""
        found: set[int] = set()
        with self.search.ask(Question(self.wifi, interval, columns=columns)) as answer:
            for hit in answer.hits:
                found |= set(hit.table(self.wifi, columns)[self.wifi.subject].to_pylist())
        return found

    def rows(self, *states: State) -> list[Row]:
        """Rows of the manifest."""
        return self.manifest.rows(self.wifi.name, *states)

    def tags_of(self, rows: Iterable[Row]) -> list[Tag]:
        """The tags of all their cells."""
        chosen = list(rows)
        return [tag for group in Group for tag in self.cells.tags(chosen, group)]

    def rewrite(self, dataset: Dataset, rows: Sequence[Row], key: KeyId, *, settled: bool = True) -> int:
        """Copies live segments into one under a key, and switches."""
        records = pa.concat_tables(self._read(dataset, row) for row in rows)
        (number,) = self.manifest.numbers(dataset.name, 1)
        segment = Sealing(self.keyring).seal(records, dataset, key, number, settled=settled)
        sent = self.manifest.commit(Change(added=[Row.of(segment, dataset.name, key, settled=settled)]))
        self.server.append([group.cell for group in segment.groups.values()])
        stored = self.manifest.commit(Change(moved=moves(sent.rows, State.STORED)))
        self.manifest.commit(Change(moved=[*moves(rows, State.RETIRED), *moves(stored.rows, State.LIVE)]))
        return len(records)

    def compact(self) -> None:
        """Merges all live segments of each epoch."""
        live = self.rows(State.LIVE)
        for key in sorted({row.key for row in live}):
            self.rewrite(self.wifi, [row for row in live if row.key == key], key)

    def collect(self, needed_after: int | None) -> None:
        """Deletes retired segments that no backup needs."""
        gone = [row for row in self.rows(State.RETIRED) if needed_after is None or row.version <= needed_after]
        self.server.delete(self.tags_of(gone))
        self.manifest.commit(Change(removed=removals(gone)))

    def send(self, records: pa.Table, *, cells: int = 2, settled: bool = False) -> Row:
        """A flush that was cut short: its segment is SENT, and some of its cells are stored."""
        checked = tables.check(records, self.wifi).records.combine_chunks()
        starts, _ = tables.spans(checked, self.wifi)
        key = self.keyring.ensure(self.wifi.name, int(self.wifi.epochs(starts)[0]))
        (number,) = self.manifest.numbers(self.wifi.name, 1)
        segment = Sealing(self.keyring).seal(checked, self.wifi, key, SegmentId(number), settled=settled)
        (row,) = self.manifest.commit(Change(added=[Row.of(segment, self.wifi.name, key, settled=settled)])).rows
        self.server.append([group.cell for group in segment.groups.values()][:cells])
        return row

    def _read(self, dataset: Dataset, row: Row) -> pa.Table:
        (core_tag, core), (rest_tag, rest) = (
            next(iter(self.cells.tags([row], group).items())) for group in (Group.CORE, Group.REST)
        )
        came = self.cells.fetch({core_tag: core, rest_tag: rest})
        columns = cores.Core(self.cells.open(core, core_tag, came[core_tag])).columns()
        starts, durations = cores.timed(columns)
        named = dict(zip(dataset.required, (columns.subjects, columns.places, starts, durations), strict=True))
        others = unpack(self.cells.open(rest, rest_tag, came[rest_tag]))
        named |= {name: others[name] for name in others.column_names}
        return pa.table({field.name: named[field.name] for field in dataset.schema}, schema=dataset.schema)


def sessions(first: int, count: int, start: int, spread: int = 7 * HOUR) -> pa.Table:
    """Sessions of devices of their own, at a few places within some hours."""
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
