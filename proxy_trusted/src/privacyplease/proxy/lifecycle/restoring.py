"""Restoring: going on from an earlier state of the home, restored from a backup or rolled back.

A manifest of an earlier time is right about its past and knows nothing of what came later. So the storage server is
asked, once, before the proxy serves:

1. for every cell that the manifest knows: compaction leaves what a backup knows (`backup/registry.py`), so what is
   missing was taken away;
2. what became of segments that were SENT;
3. for segments that came later (`later.py`). They are taken into the manifest.

Then the manifest's head overtakes the newest that the server or a witness has. Whatever is cut short is done again, for
as long as the home has its marker.

>>> Adopted(cells=12, missing=0, unreadable=0)._asdict()
{'cells': 12, 'missing': 0, 'unreadable': 0}
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Engine

from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.backup import registry
from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import ConfigurationError, StorageError, UntrustedAnswerError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.disposal import Disposal
from privacyplease.proxy.lifecycle.erasures import Erasures
from privacyplease.proxy.lifecycle.later import Later
from privacyplease.proxy.lifecycle.settling import Settling
from privacyplease.proxy.lifecycle.verification import Verification
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.currency import Currency
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.storage.client import Storage

_log = logging.getLogger(__name__)


class Adopted(NamedTuple):
    """What came of it.

    Attributes:
        cells: Cells that came later and are in the manifest now.
        missing: Cells that the manifest knew and that are not there, and later segments of which a cell is not there.
            Questions that touch the former fail.
        unreadable: Cells that the manifest knew and that are not those that were stored, and later segments that do not
            vouch for themselves. As above.
    """

    cells: int
    missing: int
    unreadable: int


def adopt(home: Home, restoring: Restoring, log: AuditLog) -> None:
    """Finishes a restore: adopts, records that, and leaves what it came to in the home.

    Raises:
        ConfigurationError: It cannot be done now. Start the proxy again.
        KeyringError: A key does not open.
    """
    _log.info("going on from an earlier state: asking the storage server what came after it")
    made_at = str(json.loads(home.restored.read_text())["made_at"])
    since = min(_millis(made_at), restoring.newest_change or _millis(made_at))
    try:
        adopted = restoring.adopt()
    except (StorageError, UntrustedAnswerError) as error:
        raise ConfigurationError(f"{home.restored}: what came after the backup cannot be asked for: {error}") from error
    log.record({"event": "restored"})
    _log.warning("went on from an earlier state: %s", adopted)
    now = int(datetime.now(UTC).timestamp() * 1_000)
    found = {"made_at": made_at, **adopted._asdict(), "keyless": restoring.keyless(since, now)}
    part = home.adopted.with_suffix(".part")
    part.write_text(json.dumps(found) + "\n")
    part.replace(home.adopted)
    home.restored.unlink()


class Restoring:
    """Goes on from an earlier state, while no proxy serves over the trusted store."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        store: Engine,
        keyring: Keyring,
        manifest: Manifest,
        storage: Storage,
        currency: Currency,
    ) -> None:
        self._datasets = datasets
        self._store = store
        self._keyring = keyring
        self._manifest = manifest
        self._storage = storage
        self._currency = currency
        cells = Cells(storage, keyring)
        disposal = Disposal(manifest, cells, storage)
        self._settling = Settling(datasets, manifest, cells, storage, disposal, currency)
        self._verification = Verification(manifest, cells, storage, Drain())
        self._later = Later(store, keyring, manifest, storage)

    @property
    def newest_change(self) -> int:
        """When the manifest was changed last, in ms; 0 if it never was."""
        return self._manifest.head().at

    def adopt(self) -> Adopted:
        """Adopts what there is. What is cut short is done by doing it again.

        Raises:
            StorageError: The server did not answer.
            UntrustedAnswerError: Its answer was none: cells that were not asked for, or out of order.
            KeyringError: A key does not open.
        """
        newest, mine = self._currency.newest_elsewhere(), self._manifest.head()
        behind = max(newest.version - mine.version, 0) if newest else 0
        adopted = Adopted(0, 0, 0)
        for dataset in self._datasets.values():
            for found in (self._hold(dataset), self._take(dataset, behind)):
                adopted = Adopted(*(before + more for before, more in zip(adopted, found, strict=True)))
        registry.finish_restored(self._store)
        self._storage.append([self._manifest.overtake(newest or mine)])
        return adopted

    def keyless(self, since: int, now: int) -> list[dict[str, str]]:
        """Periods that had begun by `now`, ended after `since` (ms both), and have no key, of data sets that have any.

        If a key was made for one of them after the backup, what was stored under it is lost.
        """
        return [
            {"dataset": dataset.name, "start": _instant(epoch * width), "end": _instant((epoch + 1) * width)}
            for dataset in self._datasets.values()
            if (keyed := self._keyring.epochs(dataset.name))
            for width in (dataset.epoch,)
            for epoch in range(since // width, now // width + 1)
            if epoch not in keyed
        ]

    def _hold(self, dataset: Dataset) -> Adopted:
        """Holds the server to what the manifest knows."""
        missing = unreadable = 0
        for part in self._verification.parts(dataset, EVER):
            for finding in self._verification.check(part).findings:
                missing += finding.missing
                unreadable += finding.damaged
        self._settling.settle(dataset.name)
        return Adopted(0, missing, unreadable)

    def _take(self, dataset: Dataset, behind: int) -> Adopted:
        keys = Erasures(self._store).live(dataset.name)
        return Adopted(*self._later.take(dataset, keys, behind))


def _millis(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp() * 1_000)


def _instant(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
