"""The cells of the manifest's segments, as the storage server must have them.

Nothing that the server returns is believed. A cell that does not come is missing; one that comes must be the one that
the manifest has a digest of. One tag has one cell for ever, so there is no older one to bring back.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from privacyplease.proxy.errors import CellDamagedError, CellsMissingError, UntrustedAnswerError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.rows import Row
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.sealing import Digests, Opener, Place
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.transport.call_log import count_fetched


class Name(NamedTuple):
    """A cell: one group of a segment."""

    row: Row
    group: Group

    @property
    def size(self) -> int:
        """Its size in bytes, sealed."""
        return self.row.groups[self.group].size


class Answers:
    """How many answers of the server were whole, and why others were refused. Safe to use from many threads."""

    def __init__(self) -> None:
        self._whole = 0
        self._refused: Counter[reasons.ErrorReason.ValueType] = Counter()
        self._lock = threading.Lock()

    @property
    def whole(self) -> int:
        """Those that held what they must, and nothing else."""
        return self._whole

    @property
    def refused(self) -> Counter[reasons.ErrorReason.ValueType]:
        """Those that were refused, by reason."""
        with self._lock:
            return Counter(self._refused)

    def accept(self) -> None:
        """Counts one that is whole."""
        with self._lock:
            self._whole += 1

    def refuse(self, error: UntrustedAnswerError) -> None:
        """Counts one that is not."""
        with self._lock:
            self._refused[error.reason] += 1


class Cells:
    """Fetches cells and holds the server to them. Safe to use from many threads.

    Attributes:
        answers: What came of the server's answers since the proxy started.
    """

    def __init__(self, storage: Storage, keyring: Keyring) -> None:
        self.answers = Answers()
        self._storage = storage
        self._keyring = keyring

    def tags(self, rows: Iterable[Row], group: Group) -> dict[Tag, Name]:
        """The tag of a group of each segment, of those that have it.

        Raises:
            KeyUnavailableError: The key of an epoch is gone, or does not open.
        """
        by_key: dict[tuple[str, KeyId], list[Row]] = {}
        for row in rows:
            if group in row.groups:
                by_key.setdefault((row.dataset, row.key), []).append(row)
        return {
            tag: Name(row, group)
            for (dataset, key), of in by_key.items()
            for tag, row in zip(self._tags(dataset, key, group, of), of, strict=True)
        }

    def fetch(self, wanted: Mapping[Tag, Name]) -> dict[Tag, Sealed]:
        """The wanted cells, all of them, each as it was sealed.

        Raises:
            UntrustedAnswerError: The answer is not what is stored.
            StorageError: The answer broke off.
        """
        if not wanted:
            return {}
        try:
            came = self._storage.select(wanted)
            count_fetched(len(came), sum(map(len, came.values())))
            self.check(wanted, came)
        except UntrustedAnswerError as error:
            self.answers.refuse(error)
            raise
        self.answers.accept()
        return came

    def check(self, wanted: Mapping[Tag, Name], came: Mapping[Tag, Sealed]) -> None:
        """Passes if what came is what was stored.

        Raises:
            CellsMissingError: Some cells did not come.
            CellDamagedError: Some are not those that were sealed.
        """
        if missing := len(wanted.keys() - came.keys()):
            raise CellsMissingError("the storage server withheld cells that it has acknowledged", cells=missing)
        if damaged := sum(1 for tag, name in wanted.items() if not self.vouched(name, tag, came[tag])):
            raise CellDamagedError("the storage server sent cells that are not those that were stored", cells=damaged)

    def vouched(self, name: Name, tag: Tag, sealed: Sealed) -> bool:
        """Whether a cell is the one that the manifest has the digest of."""
        digests = Digests(self._keyring.digest_key(name.row.dataset, name.row.key))
        return digests.vouch(name.row.groups[name.group].digest, tag, sealed)

    def open(self, name: Name, tag: Tag, sealed: Sealed) -> pa.RecordBatch:
        """Opens a verified cell.

        Raises:
            CellDamagedError: It does not open: the key has changed.
        """
        keys = self._keyring.group_keys(name.row.dataset, name.row.key, name.group.label)
        return Opener(keys.cell).open(sealed, Place(name.row.dataset, name.group, tag))

    def _tags(self, dataset: str, key: KeyId, group: Group, rows: Sequence[Row]) -> list[Tag]:
        keys = self._keyring.group_keys(dataset, key, group.label)
        return groups.tags(keys.tag, group, [row.number for row in rows])
