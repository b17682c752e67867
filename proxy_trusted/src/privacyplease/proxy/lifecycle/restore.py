"""Restore: continuing from an earlier state of the home, from a backup or after a rollback that was accepted.

An earlier manifest is right about its past and does not know what was stored later. So the storage server is asked,
once, before the proxy serves. Periods whose key-encryption key was destroyed after the backup are erased again first.

1. for the list of destroyed keys: those of them that the home has are put out of reach;
2. for every cell that the manifest knows: compaction keeps what a backup knows (`backup/registry.py`), so a missing
   cell was removed;
3. for the cells of segments that were SENT (`flush_recovery.py`);
4. for newer segments, which are added to the manifest (`segment_discovery.py`).

Then the manifest's head overtakes the newest head that the server or a witness has, and the keys on the list are
destroyed again. An interrupted restore is repeated, as long as the home has its marker.

>>> RestoreResult(cells=12, missing=0, unreadable=0)._asdict()
{'cells': 12, 'missing': 0, 'unreadable': 0, 'destroyed': 0}
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import Engine

from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.backup import registry
from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import ConfigurationError, StorageError, UntrustedAnswerError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.flush_recovery import FlushRecovery
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.lifecycle.segment_discovery import SegmentDiscovery
from privacyplease.proxy.lifecycle.verification import Verifier
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, removals
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKey, DestroyedKeys
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.storage.client import StorageClient

_log = logging.getLogger(__name__)


class RestoreResult(NamedTuple):
    """The outcome of a restore.

    Attributes:
        cells: Cells of newer segments that were added to the manifest.
        missing: Cells that the manifest knows and that are missing, and newer segments that lack a cell. Questions that
            touch the former fail.
        unreadable: Cells that the manifest knows and that differ from what was stored, and newer segments that do not
            authenticate themselves. As above.
        destroyed: Keys that the home had and that were destroyed since; they are destroyed again.
    """

    cells: int
    missing: int
    unreadable: int
    destroyed: int = 0


def finish_restore(home: Home, restore: Restore, log: AuditLog, approved_by: str = "") -> None:
    """Finishes a restore: runs it, records that in the audit log, and leaves the outcome in the home.

    Args:
        home: The home that was restored.
        restore: Runs the restore.
        log: The audit log.
        approved_by: Who has approved it, for the log; "" if nobody had to.

    Raises:
        ConfigurationError: It cannot be done now. Start the proxy again.
        KeyringError: A key cannot be unwrapped.
    """
    _log.info("continuing from an earlier state: asking the storage server for newer segments")
    made_at = str(json.loads(home.restored.read_text())["made_at"])
    described = description(home, restore)
    since = min(_millis(made_at), restore.newest_change or _millis(made_at))
    try:
        result = restore.run()
    except (StorageError, UntrustedAnswerError) as error:
        raise ConfigurationError(f"{home.restored}: the restore cannot be finished: {error}") from error
    who = {"who": approved_by} if approved_by else {}
    log.record({"event": "restored", **who, "reason": described, "destroyed": result.destroyed})
    _log.warning("continued from an earlier state: %s", result)
    now = int(datetime.now(UTC).timestamp() * 1_000)
    outcome = {"made_at": made_at, **result._asdict(), "keyless": restore.keyless(since, now)}
    part = home.adopted.with_suffix(".part")
    part.write_text(json.dumps(outcome) + "\n")
    part.replace(home.adopted)
    home.restored.unlink()


def description(home: Home, restore: Restore) -> str:
    """Which state the home was brought back to: what its marker says, and what its manifest proves."""
    marker = json.loads(home.restored.read_text())
    taken = (
        f"backup of {marker['made_at']}, sha256 {marker['sha256']}"
        if "sha256" in marker
        else f"roll-back accepted {marker['made_at']}"
    )
    changed = _instant(restore.newest_change) if restore.newest_change else "never"
    return f"{taken}; the home's manifest was last changed: {changed}"


class Restore:
    """Continues from an earlier state, while no proxy serves from the trusted store."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        store: Engine,
        keyring: Keyring,
        manifest: Manifest,
        storage: StorageClient,
        rollback_check: RollbackCheck,
    ) -> None:
        self._datasets = datasets
        self._store = store
        self._keyring = keyring
        self._manifest = manifest
        self._storage = storage
        self._rollback_check = rollback_check
        cells = Cells(storage, keyring)
        segment_deleter = SegmentDeleter(manifest, cells, storage)
        self._flush_recovery = FlushRecovery(datasets, manifest, cells, storage, segment_deleter, rollback_check)
        self._verifier = Verifier(manifest, cells, storage, Drain())
        self._discovery = SegmentDiscovery(store, keyring, manifest, storage)
        self._destroyed = DestroyedKeys(manifest, storage, keyring)
        self._erasure_log = ErasureLog(store, keyring.epoch_keys)
        self._eraser = EpochEraser(
            keyring,
            manifest,
            rollback_check,
            segment_deleter,
            self._erasure_log,
            self._destroyed,
            drain=lambda: None,
            readers=(),
            cache=CellCache(0),
        )

    @property
    def newest_change(self) -> int:
        """When the manifest was last changed, in ms since 1970; 0 if it never was."""
        return self._manifest.head().at

    def run(self) -> RestoreResult:
        """Restores. Repeating an interrupted restore completes it.

        Raises:
            StorageError: The server did not answer.
            UntrustedAnswerError: Its answer was malformed: it has cells that were not asked for, or out of order. Or it
                withholds or changed a part of the list of destroyed keys.
            KeyringError: A key cannot be unwrapped.
        """
        erased_again = sum(self._erase_again(dataset.name) for dataset in self._datasets.values())
        newest, mine = self._rollback_check.newest_elsewhere(), self._manifest.head()
        behind = max(newest.version - mine.version, 0) if newest else 0
        listed = self._destroyed.read(newest.destroyed if newest else 0)
        total = RestoreResult(0, 0, 0, erased_again + self._put_out_of_reach(listed))
        for dataset in self._datasets.values():
            for result in (self._verify(dataset), self._discover(dataset, behind)):
                total = RestoreResult(*(before + more for before, more in zip(total, result, strict=True)))
        registry.finish_restored(self._store)
        self._storage.append([self._manifest.overtake(newest or mine, len(listed))])
        self._eraser.finish()
        return total

    def keyless(self, since: int, now: int) -> list[dict[str, str]]:
        """Periods without a key that overlap [since, now] (ms since 1970), of data sets that have any key.

        If a key was made for such a period after the backup, what was stored under it is lost.
        """
        return [
            {"dataset": dataset.name, "start": _instant(epoch * width), "end": _instant((epoch + 1) * width)}
            for dataset in self._datasets.values()
            if (keyed := self._keyring.epochs(dataset.name))
            for width in (dataset.epoch,)
            for epoch in range(since // width, now // width + 1)
            if epoch not in keyed
        ]

    def _put_out_of_reach(self, listed: Sequence[DestroyedKey]) -> int:
        """Records the erasure of destroyed keys; returns how many of them the home has."""
        held = 0
        for dataset in {destroyed.dataset for destroyed in listed}:
            keys = [destroyed.key for destroyed in listed if destroyed.dataset == dataset]
            held += len(set(keys) & {*self._keyring.made(dataset)})
            self._eraser.record(dataset, keys)
        last = {(destroyed.dataset, destroyed.key.epoch): destroyed for destroyed in listed}
        for dataset, epoch in (name for name, destroyed in last.items() if destroyed.renewed):
            self._keyring.ensure(dataset, epoch)
            while all(key.epoch != epoch for key in self._erasure_log.live(dataset)):
                self._keyring.renew(dataset, epoch)
        return held

    def _erase_again(self, dataset: str) -> int:
        """Erases what was erased after the backup, whose keys cannot be opened any more; returns how many keys."""
        log = self._erasure_log
        destroyed = [key for key in log.live(dataset) if self._keyring.is_destroyed(dataset, key)]
        for key in destroyed:
            rows = [row for row in self._manifest.rows(dataset) if row.key == key]
            with log.recording(dataset, [key]):
                self._manifest.commit(
                    Change(removed=removals(rows)), check=partial(log.record, dataset=dataset, keys=[key])
                )
            log.shred(dataset, key, int(time.time() * 1_000))
        return len(destroyed)

    def _verify(self, dataset: Dataset) -> RestoreResult:
        """Checks the server against what the manifest knows, and recovers flushes."""
        missing = unreadable = 0
        for chunk in self._verifier.chunks(dataset, EVER):
            for finding in self._verifier.check(chunk).findings:
                missing += finding.missing
                unreadable += finding.damaged
        self._flush_recovery.recover(dataset.name)
        return RestoreResult(0, missing, unreadable)

    def _discover(self, dataset: Dataset, behind: int) -> RestoreResult:
        keys = self._erasure_log.live(dataset.name)
        return RestoreResult(*self._discovery.discover(dataset, keys, behind))


def _millis(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp() * 1_000)


def _instant(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
