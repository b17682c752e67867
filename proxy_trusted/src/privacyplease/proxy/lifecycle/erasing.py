"""Erasing: an epoch's cells go from the server, then its keys from the keyring.

In this order, each step durable before the next, so that whatever is cut short is finished by doing it again:

1. nothing is let in for the epoch any more, and what was let in before has arrived or failed;
2. the erasure is resolved: in one transaction it is noted, and all segments of the epoch are RETIRED, so that no
   question finds them, and neither a flush nor compaction brings one of them back;
3. questions that asked for them, and compaction, are done with them;
4. their cells are deleted from the server, by their tags, and then their rows from the manifest, whose new head is
   published: a copy of the home from before, which has the keys, is found to be old;
5. the keys are destroyed.

What makes it an erasure is step 5. The server may keep what it was told to delete, and every backup of it does; without
the keys none of that can be opened, by anybody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from privacyplease.proxy.errors import StorageError
from privacyplease.proxy.keys.dead_letters import letters_of
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.disposal import Disposal
from privacyplease.proxy.lifecycle.erasures import Erasures
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.currency import Currency
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.memory import Memory

# What nobody was told of.
_UNFINISHED = (State.SENT, State.STORED)
_ALL = (*_UNFINISHED, State.LIVE)


class Clearing(Protocol):
    """Whoever reads cells that are about to go."""

    def clear(self) -> None:
        """Returns when whoever began before has ended."""


class Erasing:
    """Carries erasures out, one at a time.

    Attributes:
        lock: Is held while one is carried out.
    """

    def __init__(
        self,
        keyring: Keyring,
        manifest: Manifest,
        currency: Currency,
        disposal: Disposal,
        erasures: Erasures,
        drain: Callable[[], None],
        readers: Iterable[Clearing],
        memory: Memory,
    ) -> None:
        """Takes the parts.

        Args:
            keyring: The keys.
            manifest: The segments.
            currency: Whether the manifest is the newest.
            disposal: What deletes segments.
            erasures: What is erased.
            drain: Returns when every batch that was submitted before has ended (`Writer.drain`).
            readers: Questions and compaction.
            memory: What is in memory of the cells.
        """
        self._keyring = keyring
        self._manifest = manifest
        self._currency = currency
        self._disposal = disposal
        self._erasures = erasures
        self._drain = drain
        self._readers = list(readers)
        self._memory = memory
        self.lock = threading.RLock()

    def ended(self, dataset: Dataset, before: int) -> list[int]:
        """The epochs of a data set that have keys and ended by an instant, in ms, ascending."""
        owners = (dataset.name, letters_of(dataset.name))
        epochs = {epoch for owner in owners for epoch in self._keyring.epochs(owner)}
        return sorted(epoch for epoch in epochs if (epoch + 1) * dataset.epoch <= before)

    def erase(self, dataset: Dataset, epochs: Iterable[int]) -> int:
        """Erases epochs. They are all out of reach before the first is carried out.

        Returns:
            How many cells the server says it deleted.

        Raises:
            InvalidRequestError: Other proxies may share the store. Nothing has changed.
            RolledBackError: The trusted store is older than somebody knows it. Nothing has changed.
            StorageError: The server is unavailable. The epochs are out of reach; `finish` does the rest.
        """
        self._erasures.require_alone()
        return self._erase(dataset, [key for epoch in epochs for key in self._keys(dataset, epoch)])

    def retire(self, dataset: Dataset, keys: Sequence[KeyId]) -> int:
        """Erases old keys of an epoch whose records are all stored under a newer one.

        Returns:
            How many cells the server says it deleted.

        Raises:
            StaleError: They are not: a segment under an old key is live. Nothing has changed.
            ProxyError: As `erase`.
        """
        self._erasures.require_alone()
        return self._erase(dataset, keys, _UNFINISHED)

    def live(self, dataset: Dataset, epoch: int) -> list[KeyId]:
        """The keys of an epoch that are not erased nor about to be, ascending."""
        return [key for key in self._erasures.live(dataset.name) if key.epoch == epoch]

    def require_alone(self) -> None:
        """As `Erasures.require_alone`."""
        self._erasures.require_alone()

    def settle(self) -> None:
        """Returns when what was let in before is on the server, and whoever read or compacted before has ended."""
        self._erasures.settle()
        self._drain()
        self._clear()

    def finish(self) -> None:
        """Carries out what was resolved and cut short.

        Raises:
            RolledBackError: As `erase`.
            StorageError: The server is unavailable.
        """
        for dataset, key, _ in self._erasures.unfinished():
            self._carry_out(dataset, key)

    def _clear(self) -> None:
        for reader in self._readers:
            reader.clear()

    def _keys(self, dataset: Dataset, epoch: int) -> list[KeyId]:
        """The keys of an epoch; the first, if it has none but that of its dead letters."""
        return self._keyring.generations(dataset.name, epoch) or [KeyId(epoch)]

    def _erase(self, dataset: Dataset, keys: Sequence[KeyId], retiring: Sequence[State] = _ALL) -> int:
        with self.lock:
            with suppress(StorageError):  # resolved all the same; it is asked again before anything is destroyed
                self._currency.require()
            self._resolve(dataset.name, keys, retiring)
            return sum(self._carry_out(dataset.name, key) for key in keys)

    def _resolve(self, dataset: str, keys: Sequence[KeyId], retiring: Sequence[State]) -> None:
        with self._erasures.resolving(dataset, keys):
            self._erasures.settle()
            self._drain()
            while not self._commit(dataset, keys, retiring):
                pass

    def _commit(self, dataset: str, keys: Sequence[KeyId], retiring: Sequence[State]) -> bool:
        """Notes the resolution and retires the segments; False if somebody has changed one of them meanwhile.

        Raises:
            StaleError: A segment is in a state that it must not be in.
        """
        rows = self._rows(dataset, keys, _ALL)
        if any(row.state not in retiring for row in rows):
            raise StaleError
        change = Change(moved=moves(rows, State.RETIRED))
        try:
            self._manifest.commit(change, check=lambda connection: self._erasures.note(connection, dataset, keys))
        except StaleError:
            return False
        return True

    def _carry_out(self, dataset: str, key: KeyId) -> int:
        with self.lock:
            self._currency.require()
            self._clear()
            cells = self._disposal.dispose(self._rows(dataset, [key]))
            self._erasures.shred(dataset, key, int(time.time() * 1_000))
            self._memory.forget(dataset, key)
            self._keyring.forget(dataset, key)
            self._keyring.forget(letters_of(dataset), KeyId(key.epoch))
        return cells

    def _rows(self, dataset: str, keys: Sequence[KeyId], states: Sequence[State] = ()) -> list[Row]:
        return [row for row in self._manifest.rows(dataset, *states) if row.key in keys]
