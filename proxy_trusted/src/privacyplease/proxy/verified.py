"""The untrusted server, held to its word: what goes in is written down, what comes out is compared with that."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence

import numpy as np

from privacyplease.proxy import sethash
from privacyplease.proxy.errors import StorageUnavailableError, UntrustedAnswerError
from privacyplease.proxy.journal import Entry, names
from privacyplease.proxy.ledger import Asked, Ledger, Look, Names
from privacyplease.proxy.predicate import Predicate
from privacyplease.proxy.prf import BLOCK, Bytes
from privacyplease.proxy.sealing import Cell
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.storage import Append, Storage
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

    def select(self, asked: Predicate, dataset: str, index: str) -> Iterator[Sequence[pb.Cell]]:
        """The cells under any of the tags, page by page. Whether they are all is known after the last page.

        Raises:
            UntrustedAnswerError: The answer is not what is stored.
            StorageError: The answer broke off.
        """
        for part in self.parts(asked, dataset, index):
            look, came = self.look(part), bytearray()
            for page in self._storage.select(asked_tags(part)):
                came += names_of(page)
                yield page
            self._ledger.judge(part, look, _names(came)).check()
            self.answers.accept()

    def as_sent(self, asked: Asked) -> Generator[Sequence[pb.Cell]]:
        """What the server sends when it is asked, as `Storage.as_sent`."""
        return self._storage.as_sent(asked_tags(asked))

    def look(self, asked: Asked) -> Look:
        """What is known before the server is asked. Entries that nobody will finish are settled first."""
        look = self._ledger.look(asked)
        overdue = [entry for entry in look.sent if entry.overdue]
        for entry in overdue:
            self._settle(entry)
        return self._ledger.look(asked) if overdue else look

    def totals(self, asked: Predicate, dataset: str, index: str) -> tuple[list[bytes], Numbers]:
        """Tags, ascending, and int64[m, 5], count and set hash of what is stored under each, as of now.

        Raises:
            StorageUnavailableError: Cells under some of them are on their way.
        """
        if not asked:
            return [], np.zeros((0, sethash.WIDTH), np.int64)
        self._storage.drain()
        tags, epochs = _in_order(asked)
        look = self.look(Asked(dataset, index, tags, epochs))
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
