"""Renewing the key of an epoch: its records are sealed again under a fresh data key, and the old one is destroyed.

For the day on which a data key may have leaked. In this order, each step durable before the next:

1. the next generation's key is made: from now on records of the epoch are sealed under it;
2. batches that were let in before have arrived, and compaction that began before has ended: nobody seals anything under
   the old key any more;
3. every segment under the old key is read and verified, and written again under the new one, which takes its place;
4. the old generation is erased, as an epoch is (`erasing.py`).

What is cut short is done again from step 2, by `finish`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.erasing import Erasing
from privacyplease.proxy.manifest.changes import StaleError
from privacyplease.proxy.manifest.currency import Currency
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.records.dataset import Dataset

# Writes live segments of a data set again under a key, and retires them; returns how many records it wrote. It raises
# `StaleError` if somebody else has retired one of them meanwhile.
Rewrite: TypeAlias = Callable[[Dataset, Sequence[Row], KeyId], int]


class Renewing:
    """Renews keys, one epoch at a time."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        keyring: Keyring,
        manifest: Manifest,
        currency: Currency,
        erasing: Erasing,
        rewrite: Rewrite,
    ) -> None:
        self._datasets = datasets
        self._keyring = keyring
        self._manifest = manifest
        self._currency = currency
        self._erasing = erasing
        self._rewrite = rewrite
        self._lock = threading.Lock()

    def renew(self, dataset: Dataset, epoch: int) -> int:
        """Renews the key of an epoch, or goes on with what was cut short.

        Returns:
            How many records were sealed again.

        Raises:
            InvalidRequestError: The epoch has no key, or was destroyed; or other proxies may share the trusted store.
            KeyringError: The old key does not open.
            RolledBackError: The trusted store is older than somebody knows it.
            UntrustedAnswerError: The server withholds or changed what is to be sealed again. Both keys stay.
            StorageError: The server is unavailable. Both keys stay; `finish` does the rest.
        """
        self._erasing.require_alone()
        self._currency.require()
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
                    self._currency.require()
                    with self._lock:
                        self._carry_out(dataset, epoch)

    def _carry_out(self, dataset: Dataset, epoch: int) -> int:
        self._erasing.settle()
        with self._erasing.lock:  # no epoch is destroyed while it is being sealed again
            live = self._erasing.live(dataset, epoch)
            if len(live) < 2:  # somebody else has finished it, or destroyed the epoch
                return 0
            return self._reseal(dataset, live[:-1], live[-1])

    def _reseal(self, dataset: Dataset, old: Sequence[KeyId], new: KeyId) -> int:
        resealed = 0
        while True:
            with suppress(StaleError):  # a segment came or went meanwhile; what is left is looked for again
                while rows := self._live_under(dataset, old):
                    resealed += self._rewrite(dataset, rows, new)
                self._erasing.retire(dataset, old)
                return resealed

    def _live_under(self, dataset: Dataset, keys: Sequence[KeyId]) -> list[Row]:
        return [row for row in self._manifest.rows(dataset.name, State.LIVE) if row.key in keys]
