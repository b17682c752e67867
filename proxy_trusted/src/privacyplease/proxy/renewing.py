"""Renewing the key of an epoch: its records are sealed again under a fresh data key, and the old one is destroyed.

For the day on which a data key may have leaked. In this order, each step durable before the next:

1. the next generation's key is made: from now on records of the epoch are sealed under it;
2. batches that were let in before have arrived;
3. every record under the old key is read, as a question reads it, and stored again under the new one;
4. the old generation is erased, as an epoch is (`erasing.py`).

Questions ask for both generations from step 1 on, and for the new one alone from step 4 on. In between a record may be
stored twice, which changes no answer: of a record reported several times the longest form counts. What is cut short is
done again from step 2, by `finish`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pyarrow as pa

from privacyplease.proxy.cells import Opener
from privacyplease.proxy.erasing import Erasing
from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.holdings import Holdings, Place
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.tables import longest
from privacyplease.proxy.sealing import Sealing
from privacyplease.proxy.verified import VerifiedStorage

# What is read, held and stored again at once: of 10 million records in an epoch about 100,000.
BUCKETS_AT_ONCE = 8


class Renewing:
    """Renews keys, one epoch at a time."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        keyring: Keyring,
        layouts: Layouts,
        holdings: Holdings,
        storage: VerifiedStorage,
        erasing: Erasing,
    ) -> None:
        self._datasets = datasets
        self._keyring = keyring
        self._layouts = layouts
        self._holdings = holdings
        self._storage = storage
        self._sealing = Sealing(keyring, layouts)
        self._erasing = erasing
        self._lock = threading.Lock()

    def renew(self, dataset: Dataset, epoch: int) -> int:
        """Renews the key of an epoch, or goes on with what was cut short.

        Returns:
            How many records were sealed again, counted once for each index.

        Raises:
            InvalidRequestError: The epoch has no key, or was destroyed; or other proxies may share the trusted store.
            KeyringError: The old key does not open.
            UntrustedAnswerError: The server withholds or changed what is to be sealed again. Both keys stay.
            StorageError: The server is away. Both keys stay; `finish` does the rest.
        """
        self._erasing.require_alone()
        with self._lock:
            live = self._erasing.live(dataset, epoch)
            if not live:
                raise InvalidRequestError("expected a period that has a key", field="containing")
            if len(live) == 1:
                self._keyring.renew(dataset.name, epoch)
            return self._carry_out(dataset, epoch)

    def finish(self) -> None:
        """Goes on with what was cut short.

        Raises:
            ProxyError: It must wait.
        """
        for dataset in self._datasets.values():
            for epoch in self._keyring.epochs(dataset.name):
                if len(self._erasing.live(dataset, epoch)) > 1:
                    with self._lock:
                        self._carry_out(dataset, epoch)

    def _carry_out(self, dataset: Dataset, epoch: int) -> int:
        *old, new = self._erasing.live(dataset, epoch)
        self._erasing.settle()
        with self._erasing.lock:  # no epoch is destroyed while it is being sealed again
            resealed = sum(self._reseal(dataset, generation, new) for generation in old)
            self._erasing.retire(dataset, old)
        return resealed

    def _reseal(self, dataset: Dataset, old: int, new: int) -> int:
        """Nothing is compacted under an old key, so its records stay where they are."""
        resealed = 0
        for index in dataset.indexes.values():
            for places in self._parts(dataset, index, old):
                records = self._records(dataset, index, old, places)
                if len(records):
                    self._storage.append(self._sealing.reseal(records, dataset, index, new)).wait()
                    resealed += len(records)
        return resealed

    def _parts(self, dataset: Dataset, index: Index, number: int) -> Iterator[list[Place]]:
        """The places under a key: some buckets at once, and runs one by one, since each has as much as a bin may."""
        held = self._holdings.all(dataset.name, index.name, dataset.timeline)
        buckets = [bucket.place for bucket in held.buckets if bucket.epoch == number]
        yield from (buckets[begin : begin + BUCKETS_AT_ONCE] for begin in range(0, len(buckets), BUCKETS_AT_ONCE))
        yield from ([run.place] for run in held.runs if run.epoch == number)

    def _records(self, dataset: Dataset, index: Index, number: int, places: list[Place]) -> pa.Table:
        """The records at some places of an index, of several forms of one the longest."""
        held = self._holdings.all(dataset.name, index.name, dataset.timeline)
        asked = predicate(dataset, index, places, None, self._keyring)
        keys = self._keyring.keys(dataset.name, number, index.name)
        schema = dataset.carried(index)
        opener = Opener(keys.cell, self._layouts, dataset.name, index.name, schema)
        batches = [
            opener.open(cell.sealed, cell.tag, cell.cell_id)
            for page in self._storage.select(asked, dataset.name, index.name, held)
            for cell in page
        ]
        return longest(pa.Table.from_batches(batches, schema).combine_chunks(), dataset)
