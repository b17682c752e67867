"""Making exported keyrings from a data set and an interval."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

from privacyplease.proxy.errors import PredicateTooLargeError
from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.export.keyring_file import Export
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.currency import Currency
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.segments.groups import Group


class ExportedKeyring(NamedTuple):
    """The file of an exported keyring, and the epochs that it opens, ascending."""

    file: bytes
    epochs: list[int]


class KeyringExporter:
    """Makes exported keyrings."""

    def __init__(self, keyring: Keyring, manifest: Manifest, currency: Currency, most_tags: int) -> None:
        """Initialises the exporter.

        Args:
            keyring: The keys to export from.
            manifest: The segments there are.
            currency: Makes sure that the manifest is the newest.
            most_tags: How many segments a keyring may cover: no more than one question may touch.
        """
        self._keyring = keyring
        self._manifest = manifest
        self._currency = currency
        self._most_tags = most_tags

    def export(self, dataset: Dataset, interval: Interval, passphrase: str) -> ExportedKeyring:
        """A keyring that answers questions about the interval as it is stored now. No cell is read.

        It opens every epoch that such a question touches: those that the interval overlaps, and earlier ones with a
        record that lasts into the interval.

        Raises:
            PredicateTooLargeError: The interval touches more than one question, and so one keyring, may.
            KeyUnavailableError: The key of one of the epochs does not open.
            RolledBackError: The trusted store is older than the newest head that the storage server or a witness holds.
            StorageError: The storage server cannot be asked for its newest head.
        """
        self._currency.require()
        rows = self._manifest.view(dataset.name).overlapping(Question(dataset, interval).fetched)
        if len(rows) > self._most_tags:
            message = f"expected an interval that touches at most {self._most_tags:,} cells, got {len(rows):,}"
            raise PredicateTooLargeError(message, tags=len(rows), limit=self._most_tags)
        keys = {key: self._keyring.group_keys(dataset.name, key, Group.CORE.label) for key in {row.key for row in rows}}
        export = Export(_core_of(dataset), interval, int(time.time() * 1_000), keys, rows)
        return ExportedKeyring(keyring_file.seal(export, passphrase), sorted({key.epoch for key in keys}))


def _core_of(dataset: Dataset) -> Dataset:
    columns = {name: dataset.columns[name] for name in dataset.required}
    return replace(dataset, columns=columns, location=None, retain=None, cover=None)
