"""Erasing an epoch: its cells are deleted from the server, and then its keys are destroyed.

In this order, each step durable before the next, so that an interrupted erasure is finished by repeating it:

1. no batch is admitted for the epoch any more, and those admitted before have been stored or have failed;
2. the erasure is recorded: in one transaction it is written down and all segments of the epoch become RETIRED, so that
   no question finds them, and neither a flush nor compaction brings one of them back;
3. questions and compaction jobs that may use them have ended, and every other proxy that shares the trusted store and
   is alive has acknowledged the same of its own (`peers.py`);
4. their cells are deleted from the server, by tag, and then their rows from the manifest, whose new head is published:
   an earlier copy of the home, which has the keys, is then detected as rolled back;
5. each key is put on the list of destroyed ones (`manifest/destroyed_keys.py`), which outlives the home: a backup that
   has the key does not bring it back;
6. the keys are deleted, their key-encryption keys are destroyed (`keys/epoch_keys.py`), and once nothing of them is
   left in the files of the trusted store, they count as destroyed; as long as the holder of the key-encryption keys
   refuses, or something reads those files, this step is repeated.

Step 6 is what makes it an erasure. The server may keep what it was told to delete, and every backup of it does; a copy
of the trusted store may keep wrapped keys. Without the key-encryption keys, nobody can open any of it.
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
from privacyplease.proxy.lifecycle.erasure_log import Cause, Erasure, ErasureLog, Obstacle
from privacyplease.proxy.lifecycle.peers import Peers
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKeys
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.cell_cache import CellCache

# Segments whose records no client was told are stored.
_UNFINISHED = (SegmentState.SENT, SegmentState.STORED)
_ALL = (*_UNFINISHED, SegmentState.LIVE)


class Drainable(Protocol):
    """Readers of cells that are about to be deleted."""

    def clear(self) -> None:
        """Returns when all readers that began before have ended."""


class EpochEraser:
    """Erases epochs, one at a time.

    Attributes:
        lock: Held while an erasure is carried out.
    """

    def __init__(
        self,
        keyring: Keyring,
        manifest: Manifest,
        rollback_check: RollbackCheck,
        segment_deleter: SegmentDeleter,
        erasure_log: ErasureLog,
        destroyed: DestroyedKeys,
        drain: Callable[[], None],
        readers: Iterable[Drainable],
        cache: CellCache,
        peers: Peers | None = None,
    ) -> None:
        """Initialises the eraser.

        Args:
            keyring: The keys.
            manifest: The segments.
            rollback_check: Passes if the manifest is the newest.
            segment_deleter: Deletes segments.
            erasure_log: Which keys are erased.
            destroyed: The list of destroyed keys.
            drain: Returns when every batch that was submitted before has ended (`Writer.drain`).
            readers: Questions and compaction.
            cache: The cells in memory.
            peers: The other proxies that share the trusted store; None if it is not shared.
        """
        self._keyring = keyring
        self._manifest = manifest
        self._rollback_check = rollback_check
        self._segment_deleter = segment_deleter
        self._erasure_log = erasure_log
        self._destroyed = destroyed
        self._drain = drain
        self._readers = list(readers)
        self._cache = cache
        self._peers = peers
        self.lock = threading.RLock()

    def ended(self, dataset: Dataset, before: int) -> list[int]:
        """The epochs of a data set that have keys and ended no later than `before` (ms since 1970), ascending."""
        owners = (dataset.name, letters_of(dataset.name))
        epochs = {epoch for owner in owners for epoch in self._keyring.epochs(owner)}
        return sorted(epoch for epoch in epochs if (epoch + 1) * dataset.epoch <= before)

    def erase(self, dataset: Dataset, epochs: Iterable[int]) -> int:
        """Erases epochs. All of them are out of reach before the first is carried out.

        Returns:
            How many cells the server says it deleted.

        Raises:
            InvalidRequestError: As `ErasureLog.require_destroyable`. Nothing has changed.
            RolledBackError: The trusted store was rolled back. Nothing has changed.
            StorageError: The server is unavailable. The epochs are out of reach; `finish` does the rest.
            UntrustedAnswerError: It withholds or changed a part of the list of destroyed keys. Likewise.
        """
        self._erasure_log.require_destroyable()
        return self._erase(dataset, [key for epoch in epochs for key in self._keys(dataset, epoch)])

    def retire(self, dataset: Dataset, keys: Sequence[KeyId]) -> int:
        """Erases old keys of an epoch whose records are all stored under a newer one.

        Returns:
            How many cells the server says it deleted.

        Raises:
            StaleError: A segment under an old key is still live. Nothing has changed.
            ProxyError: As `erase`.
        """
        self._erasure_log.require_destroyable()
        return self._erase(dataset, keys, _UNFINISHED)

    def live(self, dataset: Dataset, epoch: int) -> list[KeyId]:
        """The keys of an epoch that are neither erased nor about to be, ascending."""
        return [key for key in self._erasure_log.live(dataset.name) if key.epoch == epoch]

    def require_destroyable(self) -> None:
        """As `ErasureLog.require_destroyable`."""
        self._erasure_log.require_destroyable()

    def forget(self, dataset: str, key: KeyId) -> None:
        """Drops a key, what was derived from it, and cells opened with it, from memory."""
        self._cache.forget(dataset, key)
        self._keyring.forget(dataset, key)
        self._keyring.forget(letters_of(dataset), KeyId(key.epoch))

    def wait_for_running(self) -> None:
        """Returns when batches, questions and compaction jobs that began before have ended."""
        self._erasure_log.wait_for_batches()
        self._drain()
        self._wait_for_readers()

    def finish(self) -> None:
        """Carries out erasures that were recorded and interrupted.

        Keys that were destroyed before there was a list are put on it.

        Raises:
            RolledBackError: As `erase`.
            StorageError: The server is unavailable.
            UntrustedAnswerError: It withholds or changed a part of the list of destroyed keys.
        """
        for destroyed in self._erasure_log.destroyed():
            self._destroyed.add(destroyed)
        for dataset, key, _ in self._erasure_log.unfinished():
            self._carry_out(dataset, key)

    def record(self, dataset: str, keys: Sequence[KeyId]) -> None:
        """Puts keys out of reach; `finish` destroys them."""
        with self.lock:
            self._record(dataset, keys, _ALL)

    @property
    def unfinished(self) -> int:
        """How many keys are about to be destroyed."""
        return len(self._erasure_log.unfinished())

    @property
    def waiting(self) -> list[tuple[Erasure, Obstacle]]:
        """The keys that are about to be destroyed, ascending, and what each waits for."""
        unfinished = self._erasure_log.unfinished()
        return [(erasure, self._erasure_log.obstacle(erasure.dataset, erasure.key)) for erasure in unfinished]

    def _wait_for_readers(self) -> None:
        for reader in self._readers:
            reader.clear()

    def _keys(self, dataset: Dataset, epoch: int) -> list[KeyId]:
        """The keys of an epoch; the first generation if it has only that of its dead letters."""
        return self._keyring.generations(dataset.name, epoch) or [KeyId(epoch)]

    def _erase(self, dataset: Dataset, keys: Sequence[KeyId], retiring: Sequence[SegmentState] = _ALL) -> int:
        with self.lock:
            with suppress(StorageError):  # recorded all the same; checked again before anything is destroyed
                self._rollback_check.require_newest()
            self._record(dataset.name, keys, retiring)
            if self._peers and not all(self._let_go_by_peers(dataset.name, key) for key in keys):
                self._peers.wait(dataset.name, keys)
            return sum(self._carry_out(dataset.name, key) for key in keys)

    def _record(self, dataset: str, keys: Sequence[KeyId], retiring: Sequence[SegmentState]) -> None:
        with self._erasure_log.recording(dataset, keys):
            self._erasure_log.wait_for_batches()
            self._drain()
            while not self._commit(dataset, keys, retiring):
                pass

    def _commit(self, dataset: str, keys: Sequence[KeyId], retiring: Sequence[SegmentState]) -> bool:
        """Records the erasure and retires the segments; False if another change to one of them came first.

        Raises:
            StaleError: A segment is in a state that is not to be retired.
        """
        rows = self._rows(dataset, keys, _ALL)
        if any(row.state not in retiring for row in rows):
            raise StaleError
        change = Change(moved=moves(rows, SegmentState.RETIRED))
        try:
            self._manifest.commit(change, check=lambda connection: self._erasure_log.record(connection, dataset, keys))
        except StaleError:
            return False
        return True

    def _carry_out(self, dataset: str, key: KeyId) -> int:
        with self.lock:
            self._rollback_check.require_newest()
            self._wait_for_readers()
            if not self._let_go_by_peers(dataset, key):
                return 0
            cells = self._segment_deleter.delete(self._rows(dataset, [key]))
            self._destroyed.add(self._erasure_log.listed(dataset, key))
            self._erasure_log.shred(dataset, key, int(time.time() * 1_000))
            self.forget(dataset, key)
        return cells

    def _let_go_by_peers(self, dataset: str, key: KeyId) -> bool:
        """Whether no other proxy uses a key; if one may, it is noted as what is waited for."""
        waiting_for = self._peers.waiting_for(dataset, key) if self._peers else []
        if not waiting_for:
            return True
        detail = f"not acknowledged yet by the proxy at {'; '.join(waiting_for)}"
        return self._erasure_log.postpone(dataset, key, Cause.PEER, detail)

    def _rows(self, dataset: str, keys: Sequence[KeyId], states: Sequence[SegmentState] = ()) -> list[ManifestRow]:
        return [row for row in self._manifest.rows(dataset, *states) if row.key in keys]
