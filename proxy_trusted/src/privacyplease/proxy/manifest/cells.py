"""The cells of the manifest's segments, as the storage server must have them.

Nothing that the server returns is trusted. A cell that does not come is missing; one that comes must match the digest
in the manifest. A tag has the same cell for ever, so there is no older cell that could be replayed.
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
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.sealing import CellContext, Digests, Opener
from privacyplease.proxy.storage.cell import Sealed, Tag
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.transport.call_log import count_fetched


class CellName(NamedTuple):
    """Names a cell: one group of a segment."""

    row: ManifestRow
    group: Group

    @property
    def size(self) -> int:
        """Its size in bytes, sealed."""
        return self.row.groups[self.group].size


class AnswerCounts:
    """Counts the server's answers: complete ones, and refused ones by reason. Safe to use from many threads."""

    def __init__(self) -> None:
        self._whole = 0
        self._refused: Counter[reasons.ErrorReason.ValueType] = Counter()
        self._lock = threading.Lock()

    @property
    def whole(self) -> int:
        """How many held exactly what they had to."""
        return self._whole

    @property
    def refused(self) -> Counter[reasons.ErrorReason.ValueType]:
        """How many were refused, by reason."""
        with self._lock:
            return Counter(self._refused)

    def accept(self) -> None:
        """Counts an answer that is complete and correct."""
        with self._lock:
            self._whole += 1

    def refuse(self, error: UntrustedAnswerError) -> None:
        """Counts an answer that was refused."""
        with self._lock:
            self._refused[error.reason] += 1


class Cells:
    """Fetches cells and verifies them against the manifest. Safe to use from many threads.

    Attributes:
        answers: Counts of the server's answers since the proxy started.
    """

    def __init__(self, storage: StorageClient, keyring: Keyring) -> None:
        self.answers = AnswerCounts()
        self._storage = storage
        self._keyring = keyring

    def tags(self, rows: Iterable[ManifestRow], group: Group) -> dict[Tag, CellName]:
        """The tags of a group, of all segments that have it.

        Raises:
            KeyUnavailableError: The key of an epoch is gone, or cannot be unwrapped.
        """
        by_key: dict[tuple[str, KeyId], list[ManifestRow]] = {}
        for row in rows:
            if group in row.groups:
                by_key.setdefault((row.dataset, row.key), []).append(row)
        return {
            tag: CellName(row, group)
            for (dataset, key), group_rows in by_key.items()
            for tag, row in zip(self._tags(dataset, key, group, group_rows), group_rows, strict=True)
        }

    def fetch(self, wanted: Mapping[Tag, CellName]) -> dict[Tag, Sealed]:
        """All the wanted cells, each exactly as it was sealed.

        Raises:
            UntrustedAnswerError: The answer is not what was stored.
            StorageError: The answer was cut short.
        """
        if not wanted:
            return {}
        try:
            cells = self._storage.select(wanted)
            count_fetched(len(cells), sum(map(len, cells.values())))
            self.check(wanted, cells)
        except UntrustedAnswerError as error:
            self.answers.refuse(error)
            raise
        self.answers.accept()
        return cells

    def check(self, wanted: Mapping[Tag, CellName], cells: Mapping[Tag, Sealed]) -> None:
        """Checks that the cells that came are those that were stored.

        Raises:
            CellsMissingError: Some cells did not come.
            CellDamagedError: Some are not those that were sealed.
        """
        if missing := len(wanted.keys() - cells.keys()):
            raise CellsMissingError("the storage server withheld cells that it has acknowledged", cells=missing)
        if damaged := sum(1 for tag, name in wanted.items() if not self.is_genuine(name, tag, cells[tag])):
            raise CellDamagedError(
                "the storage server sent cells that differ from those that were stored", cells=damaged
            )

    def is_genuine(self, name: CellName, tag: Tag, sealed: Sealed) -> bool:
        """Whether a cell matches its digest in the manifest."""
        digests = Digests(self._keyring.digest_key(name.row.dataset, name.row.key))
        return digests.verify(name.row.groups[name.group].digest, tag, sealed)

    def open(self, name: CellName, tag: Tag, sealed: Sealed) -> pa.RecordBatch:
        """Opens a verified cell.

        Raises:
            CellDamagedError: It does not open, because the key is another one.
        """
        keys = self._keyring.group_keys(name.row.dataset, name.row.key, name.group.label)
        return Opener(keys.cell).open(sealed, CellContext(name.row.dataset, name.group, tag))

    def _tags(self, dataset: str, key: KeyId, group: Group, rows: Sequence[ManifestRow]) -> list[Tag]:
        keys = self._keyring.group_keys(dataset, key, group.label)
        return groups.tags(keys.tag, group, [row.number for row in rows])
