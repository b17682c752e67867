"""What writes and searches, in one process: keys, manifest, writer and search over a storage server in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.epoch_key_files import EpochKeyFiles
from privacyplease.proxy.keys.epoch_keys import EpochKeys
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.witnesses import Witness, Witnesses
from privacyplease.proxy.query import presence
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import CheckedBatch, check
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.write.writer import Writer
from tests.services.fake_storage import FakeStorage

MASTER = LocalMasterKey(Key(bytes(32)))


class ReadWriteCore:
    """The parts, assembled as in the proxy.

    Attributes:
        server: The storage server.
    """

    def __init__(
        self, folder: Path, server: FakeStorage, cache_bytes: int = 0, witnesses: Sequence[Witness] = ()
    ) -> None:
        """Opens the trusted store in a folder, which is created on first use."""
        self.server = server
        self.store = trusted_store.open_store(folder / "trusted.db")
        self.epoch_keys = EpochKeys(self.store, EpochKeyFiles(folder / "epoch-keys"))
        self.keyring = Keyring(self.store, MASTER, epoch_keys=self.epoch_keys)
        self.manifest = Manifest(self.store, self.keyring, Witnesses(witnesses))
        self.cache = CellCache(cache_bytes)
        self.rollback_check = RollbackCheck(self.manifest, server)  # type: ignore[arg-type]
        self.cells = Cells(server, self.keyring)  # type: ignore[arg-type]
        parts = self.manifest, self.keyring, server, self.cache, self.rollback_check
        self.writer = Writer(*parts, flush_seconds=0.0)  # type: ignore[arg-type]
        self.search = Search(self.manifest, self.cells, self.keyring, self.cache, self.rollback_check)

    def ingest(self, records: pa.Table, dataset: Dataset) -> CheckedBatch:
        """Stores records; once they are durable, returns which were accepted and which rejected."""
        checked = check(records, dataset)
        self.writer.submit(checked.records, dataset).wait()
        return checked

    def ask(self, question: Question) -> pa.Table:
        """The records that answer a question, each once."""
        with self.search.ask(question) as answer:
            return presence.records(answer.hits, question.dataset, question.columns)

    def close(self) -> None:
        """Stops its threads and closes its connections."""
        self.writer.stop()
        self.store.dispose()


@contextmanager
def core(folder: Path, server: FakeStorage | None = None, **options: object) -> Iterator[ReadWriteCore]:
    """A core for as long as the block lasts."""
    running = ReadWriteCore(folder, server or FakeStorage(), **options)  # type: ignore[arg-type]
    try:
        yield running
    finally:
        running.close()
