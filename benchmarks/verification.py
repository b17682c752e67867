"""What it costs to check answers against the ledger: the same questions with the check and without, in turn.

    python -m benchmarks.verification [--records N] [--rounds N]

The proxy runs in this process over a storage server in a process of its own and SQLite; the records are random sessions
of 30 days. Without the check the proxy's search takes pages from the server as they come.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from privacyplease.proxy.holdings import Held, Holdings
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.occupancy import count
from privacyplease.proxy.predicate import Predicate
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import check
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.sealing import Sealing
from privacyplease.proxy.search import Search
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.verified import VerifiedStorage
from privacyplease.storage.v1 import storage_service_pb2 as pb
from tests.services.storage import StorageProcess

HOUR = 3_600_000
DAYS = 30
START = 666 * 30 * 24 * HOUR
BATCH = 8_192


class Unverified(VerifiedStorage):
    """Believes whatever the server sends."""

    def select(self, asked: Predicate, _dataset: str, _index: str, _held: Held) -> Iterator[Sequence[pb.Cell]]:
        """The cells as they come."""
        return self._storage.select(asked)


def main() -> None:
    """Measures and prints medians with the share that the check takes."""
    flags = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder, StorageProcess(f"sqlite:///{folder}/cells.db") as server:
        store = trusted_store.open_store(Path(folder) / "trusted.db")
        keyring, layouts, holdings = Keyring(store, LocalMasterKey(Key.generate())), Layouts(store), Holdings(store)
        storage, ledger = Storage.connect(server.address), Ledger(store, keyring)
        wifi = dataset.load()["wifi"]
        layouts.settle(wifi)
        _fill(Sealing(keyring, layouts), VerifiedStorage(storage, ledger), wifi, flags.records)
        ledger.fold()
        searches = [Search(kind(storage, ledger), keyring, layouts, holdings) for kind in (VerifiedStorage, Unverified)]
        print(f"{flags.records:,} records, median of {flags.rounds}")
        for question, index, key, hours in _questions():
            _compare(question, searches, wifi, index, key, hours, flags.rounds)


def _questions() -> Iterator[tuple[str, str, object, int]]:
    for name, hours in (("1 h", 1), ("1 d", 24), ("7 d", 7 * 24), ("30 d", DAYS * 24)):
        yield f"presence of one device, {name}", "subject", 17, hours
        yield f"count at one place, {name}", "place", "ap-3", hours
        yield f"count anywhere, {name}", "place", None, hours


def _compare(
    question: str, searches: list[Search], wifi: Dataset, name: str, key: object, hours: int, rounds: int
) -> None:
    index = wifi.index(name)
    value = None if key is None else pa.scalar(key, wifi.schema.field(index.key).type)
    took: list[list[float]] = [[], []]
    for turn in range(2 * rounds + 2):
        began = time.perf_counter()
        pages = searches[turn % 2].find(wifi, index, Interval(START, START + hours * HOUR - 1), value, [wifi.subject])
        count(pages, wifi)
        took[turn % 2].append(time.perf_counter() - began)
    checked, believed = (statistics.median(times[1:]) * 1_000 for times in took)
    share = (checked - believed) / checked
    print(f"{question:32}  checked {checked:8.1f} ms   believed {believed:8.1f} ms   the check takes {share:4.0%}")


def _fill(sealing: Sealing, storage: VerifiedStorage, wifi: Dataset, records: int) -> None:
    """Batches as they come in: each from a few hours, one after the other."""
    rng = np.random.default_rng(2024)
    batches = -(-records // BATCH)
    width = DAYS * 24 * HOUR // batches
    for number in range(batches):
        given = {
            wifi.subject: rng.integers(0, 2_000, BATCH),
            wifi.place: [f"ap-{place}" for place in rng.integers(0, 75, BATCH)],
            wifi.start: pa.array(START + number * width + rng.integers(0, width, BATCH), pa.timestamp("ms", tz="UTC")),
            wifi.duration: pa.array(rng.integers(0, 7_200, BATCH) * 1_000, pa.duration("ms")),
        }
        storage.append(sealing.seal(check(pa.table(given), wifi).records, wifi)).wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The cost of checking answers.")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    return parser


if __name__ == "__main__":
    main()
