"""What writes, searches and compacts, in one process, over a storage server in memory."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa

from privacyplease.proxy.clock import steady
from privacyplease.proxy.compaction.compactor import Compactor, JobResult, Scope
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.records.dataset import Dataset, load
from privacyplease.proxy.records.tables import check, longest
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.write.writer import Writer
from tests.services.fake_storage import FakeStorage

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_727_740_800_000  # 2024-10-01, long over
WIFI = load()["wifi"]
BY_COMMAND = Scope(by_command=True)


class AdjustableClock:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return steady() + self.ahead


class InProcess:
    """One proxy. Several may share a folder, which has the trusted store, and a storage server."""

    def __init__(self, folder: Path, storage: FakeStorage | None = None, needed_after: int | None = None) -> None:
        self.folder = folder
        self.clock = AdjustableClock()
        self.needed_after = needed_after
        self.storage = storage or FakeStorage()
        self.store = trusted_store.open_store(folder / "trusted.db", durable=False)
        self.keyring = Keyring(self.store, LocalMasterKey(Key(bytes(32))))
        self.manifest = Manifest(self.store, self.keyring)
        self.cache = CellCache(1 << 28)
        self.cells = Cells(self.storage, self.keyring)  # type: ignore[arg-type]
        rollback_check = RollbackCheck(self.manifest, self.storage)  # type: ignore[arg-type]
        parts = (self.manifest, self.keyring, self.storage)
        self._writer = Writer(*parts, self.cache, rollback_check, 0.0)  # type: ignore[arg-type]
        self.search = Search(self.manifest, self.cells, self.keyring, self.cache, rollback_check)
        self.compactor = Compactor(
            self.store,
            *parts,  # type: ignore[arg-type]
            self.cells,
            self.cache,
            lambda: self.needed_after,
            self.clock,
        )

    def stop(self) -> None:
        self._writer.stop()
        self._writer.drain()
        self.store.dispose()

    def again(self) -> InProcess:
        """Another proxy over the same trusted store and the same storage server."""
        return InProcess(self.folder, self.storage, self.needed_after)

    def ingest(self, *batches: pa.Table, dataset: Dataset = WIFI) -> None:
        """Stores batches, each as one fresh segment per epoch."""
        for batch in batches:
            self._writer.submit(check(batch, dataset).records, dataset).wait()

    def cover(self, dataset: Dataset) -> None:
        """Starts cover traffic for a data set."""
        self._writer.cover([dataset])

    def compact(self, scope: Scope = BY_COMMAND, dataset: Dataset = WIFI) -> list[JobResult]:
        return list(self.compactor.compact(dataset, scope))

    def collect(self) -> int:
        """Deletes what was replaced, as if minutes had passed."""
        self.clock.ahead += 3_600
        return self.compactor.collect(WIFI)

    def rows(self, *states: SegmentState) -> list[ManifestRow]:
        return self.manifest.rows(WIFI.name, *(states or (SegmentState.LIVE,)))

    def tags(self, *states: SegmentState) -> set[Tag]:
        """The tags of all cells of segments."""
        return {tag for group in Group for tag in self.cells.tags(self.rows(*states), group)}

    def stored(self) -> set[Tag]:
        """The tags of all stored cells except heads."""
        heads = self.manifest.heads.tags(range(self.manifest.head().sequence + 1))
        return set(self.storage.cells) - set(heads)

    def found(self, interval: Interval = EVER, dataset: Dataset = WIFI, **asked: pa.Scalar) -> list[dict[str, object]]:
        """The records of an answer, with all columns."""
        others = tuple(dataset.others)
        with self.search.ask(Question(dataset, interval, columns=others, **asked)) as answer:
            tables = [hit.table(dataset, others) for hit in answer.hits]
        if not tables:
            return []
        records: list[dict[str, object]] = longest(pa.concat_tables(tables), dataset).to_pylist()
        return sorted(records, key=str)

    def answers(self) -> list[list[dict[str, object]]]:
        """Answers to questions of all kinds."""
        day = Interval(START + 6 * HOUR, START + 18 * HOUR)
        return [
            self.found(),
            self.found(day),
            self.found(subjects=pa.scalar(3, pa.int64())),
            self.found(day, subjects=pa.scalar(3, pa.int64()), places=pa.scalar("ap-1")),
            self.found(places=pa.scalar("ap-2")),
            self.found(Interval(START + 40 * HOUR, START + 40 * HOUR)),
        ]


def sessions(
    rows: int, *, seed: int = 1, start: int = START, width: int = DAY, devices: int = 50, first_device: int = 0
) -> pa.Table:
    """Sessions of a few devices, some of them reported again and longer."""
    random = Random(seed)
    starts = [start + random.randrange(0, width, MINUTE) for _ in range(rows)]
    durations = [random.choice([0, MINUTE, HOUR, 3 * HOUR, 30 * HOUR]) for _ in range(rows)]
    return pa.table(
        {
            "client_mac": [first_device + random.randrange(devices) for _ in range(rows)],
            "ap_name": [f"ap-{random.randrange(5)}" for _ in range(rows)],
            "association_time": pa.array(starts, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array(durations, pa.duration("ms")),
            "ssid": [random.choice(["guest", "staff", None]) for _ in range(rows)],
        }
    )
