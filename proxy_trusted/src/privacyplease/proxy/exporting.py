"""Exporting: from a data set, an index and an interval to an exported keyring."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

from privacyplease.proxy import exported
from privacyplease.proxy.exported import Export, Total
from privacyplease.proxy.holdings import Holdings
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.timeline import GENERATION, Interval
from privacyplease.proxy.verified import VerifiedStorage


class Exported(NamedTuple):
    """An exported keyring's file, and the epochs that it opens, ascending."""

    file: bytes
    epochs: list[int]


class Exporting:
    """Makes exported keyrings."""

    def __init__(self, keyring: Keyring, layouts: Layouts, holdings: Holdings, storage: VerifiedStorage) -> None:
        self._keyring = keyring
        self._layouts = layouts
        self._holdings = holdings
        self._storage = storage

    def export(self, dataset: Dataset, index: Index, interval: Interval, passphrase: str) -> Exported:
        """What answers questions about the interval, as of now.

        It opens every epoch that such a question touches: those that the interval overlaps, and an earlier one from
        which a record may last into it.

        Raises:
            PredicateTooLargeError: The interval holds too much for one question, and so for one keyring.
            KeyUnavailableError: The key of one of the epochs does not open.
            StorageUnavailableError: Records of the interval are on their way to the storage server.
        """
        held = self._holdings.overlapping(dataset.name, index.name, dataset.timeline, interval)
        asked = predicate(dataset, index, held.places, None, self._keyring)
        tags, totals = self._storage.totals(asked, dataset.name, index.name, held)
        export = Export(
            dataset=_as_seen_by(index, dataset),
            interval=interval,
            made_at=int(time.time() * 1_000),
            keys={epoch: self._keyring.keys(dataset.name, epoch, index.name) for epoch in set(asked.values())},
            buckets=[bucket.place for bucket in held.buckets],
            runs=[run._replace(rolled_up=False) for run in held.runs],  # their hashes are of all epochs
            layouts=self._layouts.known(dataset.name, index.name),
            totals=[
                Total(tag, asked[tag], row[0], tuple(row[1:]))
                for tag, row in zip(tags, totals.tolist(), strict=True)
                if row[0]
            ],
        )
        return Exported(exported.seal(export, passphrase), sorted({number % GENERATION for number in export.keys}))


def _as_seen_by(index: Index, dataset: Dataset) -> Dataset:
    columns = {name: dataset.columns[name] for name in index.columns}
    return replace(dataset, columns=columns, indexes={index.name: index}, retain=None)
