"""Exporting: from a data set, an index and an interval to an exported keyring."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from privacyplease.proxy import exported
from privacyplease.proxy.dataset import Dataset, Index
from privacyplease.proxy.exported import Export, Total
from privacyplease.proxy.extents import Extents
from privacyplease.proxy.keyring import Keyring
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.timeline import GENERATION, Extent, Interval
from privacyplease.proxy.verified import VerifiedStorage


class Exported(NamedTuple):
    """An exported keyring's file, and the epochs that it opens, ascending."""

    file: bytes
    epochs: list[int]


class Exporting:
    """Makes exported keyrings."""

    def __init__(self, keyring: Keyring, layouts: Layouts, extents: Extents, storage: VerifiedStorage) -> None:
        self._keyring = keyring
        self._layouts = layouts
        self._extents = extents
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
        extents = list(self._touched(dataset, interval))
        asked = predicate(dataset, index, interval, None, extents, self._keyring)
        tags, totals = self._storage.totals(asked, dataset.name, index.name)
        export = Export(
            dataset=_as_seen_by(index, dataset),
            interval=interval,
            made_at=int(time.time() * 1_000),
            keys={epoch: self._keyring.keys(dataset.name, epoch, index.name) for epoch in set(asked.values())},
            extents=extents,
            layouts=self._layouts.known(dataset.name, index.name),
            totals=[
                Total(tag, asked[tag], row[0], tuple(row[1:]))
                for tag, row in zip(tags, totals.tolist(), strict=True)
                if row[0]
            ],
        )
        return Exported(exported.seal(export, passphrase), sorted({number % GENERATION for number in export.keys}))

    def _touched(self, dataset: Dataset, interval: Interval) -> Iterator[Extent]:
        """The extents, cut to the buckets in which a record can lie that overlaps the interval."""
        for extent in self._extents.extents(dataset.name):
            if buckets := dataset.timeline.overlapping(interval, extent):
                yield extent._replace(first=buckets.start, last=buckets.stop - 1)


def _as_seen_by(index: Index, dataset: Dataset) -> Dataset:
    columns = {name: dataset.columns[name] for name in index.columns}
    return replace(dataset, columns=columns, indexes={index.name: index}, retain=None)
