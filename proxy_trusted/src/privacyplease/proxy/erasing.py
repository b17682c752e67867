"""Erasing: an epoch's cells go from the server, then its keys from the keyring.

In this order, each step durable before the next, so that whatever is cut short is finished by doing it again:

1. the erasure is resolved: nothing finds the epoch any more, nothing is added to it;
2. what was on its way to the server has arrived; questions that asked for it, and compaction, are done with it;
3. the epoch's cells are deleted from the server, by their tags, which the ledger knows;
4. the ledger forgets the cells;
5. the keys are destroyed.

What makes it an erasure is step 5. The server may keep what it was told to delete, and every backup of it does; without
the keys none of that can be opened, by anybody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from privacyplease.proxy.edge.drain import Turnstile
from privacyplease.proxy.erasures import Erasures
from privacyplease.proxy.errors import ProxyError
from privacyplease.proxy.keys.dead_letters import letters_of
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.opened_cells import OpenedCells
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import GENERATION
from privacyplease.proxy.storage.client import Storage

_log = logging.getLogger(__name__)


class Erasing:
    """Carries erasures out, one at a time."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        keyring: Keyring,
        storage: Storage,
        ledger: Ledger,
        erasures: Erasures,
        readers: Iterable[Turnstile],
        cache: OpenedCells,
    ) -> None:
        self._datasets = datasets
        self._keyring = keyring
        self._storage = storage
        self._ledger = ledger
        self._erasures = erasures
        self._readers = list(readers)
        self._cache = cache
        self.lock = threading.RLock()

    def ended(self, dataset: Dataset, before: int) -> list[int]:
        """The epochs of a data set that have keys and ended by an instant, in ms, ascending."""
        owners = (dataset.name, letters_of(dataset.name))
        epochs = {epoch for owner in owners for epoch in self._keyring.epochs(owner)}
        return sorted(epoch for epoch in epochs if (epoch + 1) * dataset.timeline.epoch <= before)

    def erase(self, dataset: Dataset, epochs: Iterable[int]) -> int:
        """Erases epochs. They are all out of reach before the first is carried out.

        Returns:
            How many cells the server says it deleted.

        Raises:
            StorageError: The server is away. The epochs are out of reach; `finish` does the rest.
        """
        return self._erase(dataset, [number for epoch in epochs for number in self._numbers(dataset, epoch)])

    def retire(self, dataset: Dataset, generations: Iterable[int]) -> int:
        """Erases old keys of an epoch, by their numbers, whose records are all stored under a newer one.

        Returns:
            How many cells the server says it deleted.

        Raises:
            StorageError: The server is away. The keys are out of use; `finish` does the rest.
        """
        return self._erase(dataset, list(generations))

    def live(self, dataset: Dataset, epoch: int) -> list[int]:
        """The numbers of an epoch's keys that are not erased nor about to be, ascending."""
        return [number for number in self._erasures.live(dataset.name) if number % GENERATION == epoch]

    def require_alone(self) -> None:
        """As `Erasures.require_alone`."""
        self._erasures.require_alone()

    def settle(self) -> None:
        """Returns when what was let in before is on the server, and whoever read or compacted before has ended."""
        self._erasures.settle()
        self._storage.drain()
        self._clear()

    def _clear(self) -> None:
        for reader in self._readers:
            reader.clear()

    def finish(self) -> None:
        """Carries out what was resolved and cut short.

        Raises:
            StorageError: The server is away.
        """
        for dataset, epoch, _ in self._erasures.unfinished():
            if dataset in self._datasets:
                self._carry_out(self._datasets[dataset], epoch)
            else:
                _log.warning("an erasure waits for the definition of its data set to come back")

    def _numbers(self, dataset: Dataset, epoch: int) -> list[int]:
        """The newest first: the epoch is out of reach with that one."""
        return self._keyring.generations(dataset.name, epoch)[::-1] or [epoch]

    def _erase(self, dataset: Dataset, numbers: list[int]) -> int:
        for number in numbers:
            self._erasures.resolve(dataset.name, number)
        return sum(self._carry_out(dataset, number) for number in numbers)

    def _carry_out(self, dataset: Dataset, epoch: int) -> int:
        with self.lock:
            self._storage.drain()
            self._clear()
            cells = self._delete_cells(dataset, epoch)
            self._ledger.forget(dataset.name, epoch)
            self._erasures.shred(dataset.name, epoch, int(time.time() * 1_000))
            self._cache.forget(dataset.name, epoch)
            self._keyring.forget(dataset.name, epoch)
            self._keyring.forget(letters_of(dataset.name), epoch % GENERATION)
        return cells

    def _delete_cells(self, dataset: Dataset, epoch: int) -> int:
        return sum(self._storage.delete(tags) for tags in self._ledger.tags(dataset.name, epoch))


class Retention:
    """Erases what data sets' definitions say is not to be kept, once an hour, in a thread of its own."""

    PERIOD_SECONDS = 3_600.0

    def __init__(self, datasets: Mapping[str, Dataset], erasing: Erasing, finish: Callable[[], None]) -> None:
        """Takes the parts.

        Args:
            datasets: The data sets.
            erasing: What erases.
            finish: Finishes what else was cut short.
        """
        self._datasets = datasets
        self._erasing = erasing
        self._finish = finish
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Starts: the first round is now."""
        self._thread.start()

    def stop(self) -> None:
        """Starts no further round. One that runs may be cut short, as by a crash."""
        self._stopped.set()

    def round(self, now: int) -> None:
        """Finishes what was cut short, and erases every epoch that ended longer ago than its data set retains.

        Args:
            now: In ms since 1970.

        Raises:
            ProxyError: Some of it must wait.
        """
        self._erasing.finish()
        self._finish()
        for dataset in self._datasets.values():
            if dataset.retain is not None and (epochs := self._erasing.ended(dataset, now - dataset.retain)):
                _log.info("retention: erasing %d epochs of data set %s", len(epochs), dataset.name)
                self._erasing.erase(dataset, epochs)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.round(int(time.time() * 1_000))
            except ProxyError as error:
                _log.warning("retention waits: %s", error)
            except Exception as error:  # a round that fails must not be the last one; the message may quote anything
                _log.error("retention failed: %s", type(error).__name__)
            self._stopped.wait(self.PERIOD_SECONDS)
