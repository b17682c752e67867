"""A store that counts what is done to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from privacyplease.server.cells import Cell, CellRef, Tags
from privacyplease.server.errors import ReplaceConflictError, StoreUnavailableError
from privacyplease.server.metrics import Metrics
from privacyplease.server.store import Description, Size, Store


class MeteredStore:
    """The store that it is given, with `Metrics` told of every cell."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def append(self, cells: Sequence[Cell]) -> None:
        """See `Store.append`."""
        with self._counting_errors():
            self._store.append(cells)
        self._metrics.done("appended", len(cells), _bytes(cells))

    def select(self, tags: Tags, after: CellRef | None = None) -> Iterator[Cell]:
        """See `Store.select`."""
        cells = size = 0
        try:
            with self._counting_errors():
                for cell in self._store.select(tags, after):
                    cells, size = cells + 1, size + len(cell.sealed)
                    yield cell
        finally:
            self._metrics.done("selected", cells, size)

    def measure(self, tags: Tags) -> Size:
        """See `Store.measure`."""
        with self._counting_errors():
            return self._store.measure(tags)

    def replace(self, remove: Sequence[CellRef], add: Sequence[Cell]) -> None:
        """See `Store.replace`."""
        with self._counting_errors():
            self._store.replace(remove, add)
        self._metrics.done("removed", len(remove))
        self._metrics.done("added", len(add), _bytes(add))

    def delete(self, tags: Tags) -> int:
        """See `Store.delete`."""
        with self._counting_errors():
            cells = self._store.delete(tags)
        self._metrics.done("deleted", cells)
        return cells

    def describe(self) -> Description:
        """See `Store.describe`."""
        with self._counting_errors():
            return self._store.describe()

    def connections(self) -> int:
        """See `Store.connections`."""
        return self._store.connections()

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()

    @contextmanager
    def _counting_errors(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailableError:
            self._metrics.failed("unavailable")
            raise
        except ReplaceConflictError:
            self._metrics.failed("conflict")
            raise
        except Exception:
            self._metrics.failed("unforeseen")
            raise


def _bytes(cells: Sequence[Cell]) -> int:
    return sum(len(cell.sealed) for cell in cells)
