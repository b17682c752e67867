"""The untrusted server, held to its word: what goes in is written down, what comes out is compared with that."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from privacyplease.proxy import sethash
from privacyplease.proxy.errors import StorageUnavailableError, UntrustedAnswerError
from privacyplease.proxy.holdings import Held
from privacyplease.proxy.journal import LONGEST_QUESTION_SECONDS, Entry, names
from privacyplease.proxy.keys.prf import BLOCK, Bytes
from privacyplease.proxy.ledger import Asked, Ledger, Look, Names
from privacyplease.proxy.predicate import Predicate
from privacyplease.proxy.sealing import Cell
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.storage.client import Append, Storage
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.storage.v1 import storage_service_pb2 as pb

_NAME = 2 * BLOCK


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


class Taken(NamedTuple):
    """Cells that are known to be stored, and tags under which there may be others soon."""

    cells: list[pb.Cell]
    on_their_way: set[bytes]


class VerifiedStorage:
    """A storage server and the ledger of what it has. Safe to use from many threads.

    Attributes:
        answers: What came of the server's answers since the proxy started. Whoever opens the cells of an answer and
            refuses one counts that here.
    """

    def __init__(self, storage: Storage, ledger: Ledger) -> None:
        self._storage = storage
        self._ledger = ledger
        self.answers = Answers()

    def append(self, cells: Iterable[Cell]) -> Append:
        """Sends cells to be stored, as `Storage.append`."""
        return self._storage.append(cells, self._ledger)

    def append_if(self, cells: Iterable[Cell], check: Callable[[Connection], None]) -> Append:
        """Sends cells of runs to be stored; none any more once the check fails, which is done with the intent."""
        return self._storage.append(cells, _Guarded(self._ledger, check))

    def select(self, asked: Predicate, dataset: str, index: str, held: Held) -> Iterator[Sequence[pb.Cell]]:
        """The cells under any of the tags, page by page. Whether they are all is known after the last page.

        Args:
            asked: The tags.
            dataset: The data set.
            index: The index.
            held: What the tags were worked out from.

        Raises:
            UntrustedAnswerError: The answer is not what is stored.
            StorageError: The answer broke off, or took so long that cells may have gone that it should have held.
        """
        for part in self.parts(asked, dataset, index):
            look, came = self.look(part, held.version), bytearray()
            for page in self._storage.select(asked_tags(part)):
                came += names_of(page)
                yield page
            self._ledger.judge(part, look, _names(came)).check()
            _check_age(held)
            self.answers.accept()

    def take(self, asked: Predicate, dataset: str, index: str, held: Held) -> Taken:
        """The cells under any of the tags that are known to be stored, and whether there may be others.

        Raises:
            UntrustedAnswerError: The answer is not what is stored.
            StorageError: The answer broke off, or took too long.
        """
        cells: list[pb.Cell] = []
        on_their_way: set[bytes] = set()
        for part in self.parts(asked, dataset, index):
            look = self.look(part, held.version)
            came = [cell for page in self._storage.select(asked_tags(part)) for cell in page]
            found = _names(names_of(came))
            required = self._ledger.required(look, found).tolist()
            self._ledger.judge(part, look, found).check()
            cells += [cell for cell, kept in zip(came, required, strict=True) if kept]
            on_their_way |= {name[:BLOCK] for entry in look.sent for name in _rows(names(entry.cells))} & asked.keys()
        _check_age(held)
        return Taken(cells, on_their_way)

    def as_sent(self, asked: Asked) -> Generator[Sequence[pb.Cell]]:
        """What the server sends when it is asked, as `Storage.as_sent`."""
        return self._storage.as_sent(asked_tags(asked))

    def look(self, asked: Asked, version: int | None = None) -> Look:
        """What is known before the server is asked. Entries that nobody will finish are settled first."""
        look = self._ledger.look(asked, version)
        overdue = [entry for entry in look.sent if entry.overdue]
        for entry in overdue:
            self._settle(entry)
        return self._ledger.look(asked, version) if overdue else look

    def settle(self, tags: Iterable[bytes]) -> bool:
        """Brings all that was sent under some tags into the ledger, or out; False if somebody may still finish it."""
        chosen = Asked("", "", np.array(sorted(tags), f"S{BLOCK}"), np.zeros(0, np.int64))
        self.look(chosen)
        self._ledger.fold()
        return not self._ledger.unfolded(chosen)

    def remove(self, entry: Entry) -> int:
        """Removes the cells of a retired entry from the server, those that are still there, and forgets it.

        Returns:
            How many there were.
        """
        gone = _rows(names(entry.cells))
        if not self._storage.remove(gone):
            there = {
                name
                for page in self._storage.select({name[:BLOCK] for name in gone})
                for name in _rows(_names(names_of(page)))
            }
            gone = [name for name in gone if name in there]
            if gone and not self._storage.remove(gone):
                raise StorageUnavailableError("another compactor is removing the same cells")
        self._ledger.collected(entry)
        return len(gone)

    def erase(self, tags: Sequence[bytes]) -> int:
        """Deletes every cell under tags that nobody uses any more, and what is known of them."""
        deleted = self._storage.delete(tags)
        self._ledger.forget_tags(tags)
        return deleted

    def totals(self, asked: Predicate, dataset: str, index: str, held: Held) -> tuple[list[bytes], Numbers]:
        """Tags, ascending, and int64[m, 5], count and set hash of what is stored under each, as of now.

        Args:
            asked: The tags.
            dataset: The data set.
            index: The index.
            held: What the tags were worked out from.

        Raises:
            StorageUnavailableError: Cells under some of them are on their way.
        """
        if not asked:
            return [], np.zeros((0, sethash.WIDTH), np.int64)
        self._storage.drain()
        tags, epochs = _in_order(asked)
        look = self.look(Asked(dataset, index, tags, epochs), held.version)
        if any(np.isin(cells_tags(entry), tags).any() for entry in look.sent):
            raise StorageUnavailableError("records of this time are on their way to the storage server; ask again")
        return tags.view(f"V{BLOCK}").tolist(), look.expected

    def compare(self, asked: Asked, look: Look, came: bytearray) -> Numbers:
        """How the names that came differ from what is known to be stored, as `Ledger.compare`."""
        return self._ledger.compare(asked, look, _names(came))

    def parts(self, asked: Predicate, dataset: str, index: str) -> Iterator[Asked]:
        """The question in calls that the server takes."""
        if not asked:
            return
        tags, epochs = _in_order(asked)
        size = self._storage.limits().max_tags_per_predicate
        for begin in range(0, len(tags), size):
            yield Asked(dataset, index, tags[begin : begin + size], epochs[begin : begin + size])

    def _settle(self, entry: Entry) -> None:
        """Asks the server what became of a call that was cut off by a crash, or that failed."""
        sent = _rows(names(entry.cells))
        tags = {name[:BLOCK] for name in sent}
        there = {name for page in self._storage.select(tags) for name in _rows(_names(names_of(page)))}
        self._ledger.settle(entry, np.array([name in there for name in sent]))


class _Guarded:
    """The ledger, for cells that may be sent only while something holds."""

    def __init__(self, ledger: Ledger, check: Callable[[Connection], None]) -> None:
        self._ledger = ledger
        self._check = check

    def sent(self, cells: Sequence[Cell]) -> list[int]:
        """See `storage.Journal`."""
        return self._ledger.sent_if(cells, self._check)

    def stored(self, entries: Sequence[int]) -> None:
        """See `storage.Journal`."""
        self._ledger.stored(entries)


def _check_age(held: Held) -> None:
    if time.time() - held.at > LONGEST_QUESTION_SECONDS:
        raise StorageUnavailableError("the storage server took too long to answer")


def cells_tags(entry: Entry) -> Names:
    """The tag of each cell of an entry: S16[n]."""
    return np.ascontiguousarray(entry.cells[:, :BLOCK]).view(f"S{BLOCK}").ravel()


def asked_tags(asked: Asked) -> list[bytes]:
    """The tags as bytes, all of their length."""
    tags: list[bytes] = asked.tags.view(f"V{BLOCK}").tolist()
    return tags


def names_of(page: Sequence[pb.Cell]) -> bytes:
    """Tag and cell id of each cell, one after the other."""
    return b"".join(cell.tag + cell.cell_id for cell in page)


def _names(octets: bytes | bytearray) -> Bytes:
    """Tag and cell id of each cell: uint8[n, 32]."""
    return np.frombuffer(octets, np.uint8).reshape(-1, _NAME)


def _in_order(asked: Predicate) -> tuple[Names, Numbers]:
    """Tags, ascending, and their epochs."""
    tags = np.frombuffer(b"".join(asked), f"S{BLOCK}")
    order = np.argsort(tags)
    return tags[order], np.fromiter(asked.values(), np.int64, len(asked))[order]


def _rows(array: Bytes) -> list[bytes]:
    octets = array.tobytes()
    return [octets[at : at + _NAME] for at in range(0, len(octets), _NAME)]
