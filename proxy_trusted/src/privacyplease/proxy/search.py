"""Search: from a question to the records that answer it, exactly.

The server returns whatever lies under the predicate's tags, other people's records in the same bins and hours among
them. Here they are opened, and what does not belong to the answer is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from privacyplease.proxy.cells import Opener
from privacyplease.proxy.edge.drain import Turnstile
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.holdings import Held, Holdings, Place, Run
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import ROLLUP, Layouts
from privacyplease.proxy.opened_cells import Fresh, Known, OpenedCells
from privacyplease.proxy.predicate import MOST_TAGS, Predicate, predicate
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.tables import Sought, having, overlapping
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.rollups import Rollups, key_of, without
from privacyplease.proxy.telemetry.calls import opened
from privacyplease.proxy.verified import VerifiedStorage
from privacyplease.proxy.witness import Witness
from privacyplease.storage.v1 import storage_service_pb2 as pb


class Search:
    """Finds records through an index."""

    def __init__(
        self,
        storage: VerifiedStorage,
        keyring: Keyring,
        layouts: Layouts,
        holdings: Holdings,
        most_tags: int = MOST_TAGS,
        cache_bytes: int = 0,
    ) -> None:
        self.cache = OpenedCells(cache_bytes)
        self.questions = Turnstile()  # whoever takes cells away waits here for the questions that asked for them
        self._storage = storage
        self._keyring = keyring
        self._layouts = layouts
        self._holdings = holdings
        self._most_tags = most_tags

    def find(
        self,
        dataset: Dataset,
        index: Index,
        interval: Interval,
        key: Sought,
        columns: Sequence[str],
        witness: Witness | None = None,
        rollups: Rollups | None = None,
    ) -> Iterator[pa.Table]:
        """The records of a key that overlap an interval, in no order, page by page; a record may come more than once.

        Whether cells were withheld is known at the end: no answer may leave the proxy before the last page was taken.

        Args:
            dataset: The data set.
            index: The index to ask.
            interval: When.
            key: The stored value of the index's key, or several; None for every key.
            columns: What to read. Start, duration and the index's key are always read.
            witness: Looks on; each cell is then a page of its own.
            rollups: Takes roll-ups of the place index in the place of the records of runs, which then do not come.

        Raises:
            PredicateTooLargeError: The question touches too much.
            UntrustedAnswerError: The server's answer is not what was stored.
            StorageError: The server did not answer.
        """
        wanted = list(dict.fromkeys((*columns, dataset.start, dataset.duration, index.key)))
        try:
            with self.questions.passing():
                held = self._holdings.overlapping(dataset.name, index.name, dataset.timeline, interval)
                if rollups is not None:
                    runs, held = without(held, interval)
                    if runs:
                        rollups.fill(*self._roll_up(dataset, index, held, runs, key, witness))
                lasting = self._predicate(dataset, index, [run.place for run in held.runs], key)
                asked = self._predicate(dataset, index, [of.place for of in held.buckets], key, beside=len(lasting))
                known = self.cache.known(() if witness else lasting, wanted)
                if known.cells:
                    schema = pa.schema([dataset.schema.field(name) for name in wanted])
                    yield overlapping(_joined(known, key, schema), dataset, interval)
                fresh = self.cache.fresh(known.lacking, index.key)
                asked |= {tag: epoch for tag, epoch in lasting.items() if tag not in known.cells}
                if witness:
                    witness.asked(asked)
                if not asked:
                    return
                pages = _apart(self._storage.select(asked, dataset.name, index.name, held), witness)
                for page, batches in self._opened(pages, asked, fresh, dataset, index, dataset.carried(index)):
                    records = pa.Table.from_batches([batch.select(wanted) for batch in batches])
                    found = overlapping(having(records, index.key, key), dataset, interval)
                    if witness:
                        witness.saw(page[0], len(records), len(found))
                    yield found
        except UntrustedAnswerError as error:
            self._storage.answers.refuse(error)
            raise

    def _roll_up(
        self, dataset: Dataset, index: Index, held: Held, runs: Sequence[Run], key: Sought, witness: Witness | None
    ) -> tuple[list[pa.Table], Key, int]:
        """What `Rollups.fill` takes, of some runs."""
        asked = self._predicate(dataset, index, [run.rollup for run in runs], key)
        known = self.cache.known(() if witness else asked, ROLLUP.schema.names)
        tables = [_joined(known, key, ROLLUP.schema)]
        fresh = self.cache.fresh(known.lacking, "place")
        lacking = {tag: epoch for tag, epoch in asked.items() if tag not in known.cells}
        if witness:
            witness.asked(lacking, rollups=True)
        pages = _apart(self._storage.select(lacking, dataset.name, index.name, held), witness)
        for page, batches in self._opened(pages, lacking, fresh, dataset, index, ROLLUP.schema):
            sketches = pa.Table.from_batches(batches)
            tables.append(having(sketches, "place", key))
            if witness:
                witness.saw(page[0], len(sketches), len(tables[-1]), rollup=True)
        spared = sum(run.size for run in runs) * len(asked) // len(runs)
        return tables, key_of(dataset, self._keyring), spared

    def _predicate(
        self, dataset: Dataset, index: Index, places: Sequence[Place], key: Sought, beside: int = 0
    ) -> Predicate:
        if not places:
            return {}
        value = pa.array([key.as_py()], key.type) if isinstance(key, pa.Scalar) else key
        return predicate(dataset, index, places, value, self._keyring, self._most_tags, beside)

    def _opened(
        self,
        pages: Iterable[Sequence[pb.Cell]],
        asked: Predicate,
        fresh: Fresh,
        dataset: Dataset,
        index: Index,
        schema: pa.Schema,
    ) -> Iterator[tuple[Sequence[pb.Cell], list[pa.RecordBatch]]]:
        """Pages of cells and what each opens into. The cache takes it after the last, when all is known to be whole."""
        openers: dict[int, Opener] = {}
        for page in pages:
            opened(page)
            batches = []
            for cell in page:
                epoch = asked[cell.tag]
                if epoch not in openers:
                    openers[epoch] = self._opener(dataset, index, epoch, schema)
                batches.append(openers[epoch].open(cell.sealed, cell.tag, cell.cell_id))
                fresh.add(cell.tag, epoch, batches[-1])
            yield page, batches
        self.cache.keep(dataset.name, fresh)

    def _opener(self, dataset: Dataset, index: Index, epoch: int, schema: pa.Schema) -> Opener:
        keys = self._keyring.keys(dataset.name, epoch, index.name)
        return Opener(keys.cell, self._layouts, dataset.name, index.name, schema)


def _joined(known: Known, key: Sought, schema: pa.Schema) -> pa.Table:
    """The records of a key that were opened before."""
    cells = (cell for cells in known.cells.values() for cell in cells)
    return pa.Table.from_batches([found.select(schema.names) for cell in cells for found in cell.having(key)], schema)


def _apart(pages: Iterator[Sequence[pb.Cell]], witness: Witness | None) -> Iterator[Sequence[pb.Cell]]:
    """The pages; a page for each cell if there is a witness."""
    return ([cell] for page in pages for cell in page) if witness else pages
