"""Renewing the key of an epoch: its records are sealed again under a fresh data key, and the old one is destroyed.

For use when a data key may have leaked. In this order, each step durable before the next:

1. the next generation's key is made: from now on, records of the epoch are sealed under it;
2. batches that were admitted before are stored, and compaction jobs that began before have ended: nothing is sealed
   under the old key any more;
3. every segment under the old key is read and verified, and replaced by one under the new key;
4. the old generation is erased, as an epoch is (`eraser.py`).

An interrupted renewal is repeated from step 2, by `finish`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.manifest.changes import StaleError
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset

# Rewrites live segments of a data set under a key, and retires them; returns how many records it wrote. It raises
# `StaleError` if one of them was retired by another change meanwhile.
Rewrite: TypeAlias = Callable[[Dataset, Sequence[ManifestRow], KeyId], int]


class KeyRenewal:
    """Renews keys, one epoch at a time."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        keyring: Keyring,
        manifest: Manifest,
        rollback_check: RollbackCheck,
        eraser: EpochEraser,
        rewrite: Rewrite,
    ) -> None:
        self._datasets = datasets
        self._keyring = keyring
        self._manifest = manifest
        self._rollback_check = rollback_check
        self._eraser = eraser
        self._rewrite = rewrite
        self._lock = threading.Lock()

    def renew(self, dataset: Dataset, epoch: int) -> int:
        """Renews the key of an epoch, or continues an interrupted renewal.

        Returns:
            How many records were sealed again.

        Raises:
            InvalidRequestError: The epoch has no key, or was destroyed; or as `ErasureLog.require_destroyable`.
            KeyringError: The old key cannot be unwrapped.
            RolledBackError: The trusted store was rolled back.
            UntrustedAnswerError: The server withholds or changed what is to be sealed again. Both keys stay.
            StorageError: The server is unavailable. Both keys stay; `finish` does the rest.
        """
        self._eraser.require_destroyable()
        self._rollback_check.require_newest()
        with self._lock:
            live = self._eraser.live(dataset, epoch)
            if not live:
                raise InvalidRequestError("expected a period that has a key", field="containing")
            if len(live) == 1:
                self._keyring.renew(dataset.name, epoch)
            return self._carry_out(dataset, epoch)

    def finish(self) -> None:
        """Continues interrupted renewals.

        Raises:
            ProxyError: It cannot be done now.
        """
        for dataset in self._datasets.values():
            for epoch in self._keyring.epochs(dataset.name):
                if len(self._eraser.live(dataset, epoch)) > 1:
                    self._rollback_check.require_newest()
                    with self._lock:
                        self._carry_out(dataset, epoch)

    def _carry_out(self, dataset: Dataset, epoch: int) -> int:
        self._eraser.wait_for_running()
        with self._eraser.lock:  # no epoch is erased while it is being sealed again
            live = self._eraser.live(dataset, epoch)
            if len(live) < 2:  # it was finished meanwhile, or the epoch was erased
                return 0
            return self._reseal(dataset, live[:-1], live[-1])

    def _reseal(self, dataset: Dataset, old: Sequence[KeyId], new: KeyId) -> int:
        resealed = 0
        while True:
            with suppress(StaleError):  # a segment was added or retired meanwhile; look again for what is left
                while rows := self._live_under(dataset, old):
                    resealed += self._rewrite(dataset, rows, new)
                self._eraser.retire(dataset, old)
                return resealed

    def _live_under(self, dataset: Dataset, keys: Sequence[KeyId]) -> list[ManifestRow]:
        return [row for row in self._manifest.rows(dataset.name, SegmentState.LIVE) if row.key in keys]
