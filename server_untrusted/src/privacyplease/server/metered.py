"""A store that counts what is done to its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from privacyplease.server.cells import Cell, Tags
from privacyplease.server.errors import StoreUnavailableError
from privacyplease.server.metrics import Metrics
from privacyplease.server.store import Description, Size, Store


class MeteredStore:
    """Wraps a store, and counts in `Metrics` what is done to every cell."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def append(self, cells: Sequence[Cell]) -> None:
        """See `Store.append`."""
        with self._counting_errors():
            self._store.append(cells)
        self._metrics.done("appended", len(cells), sum(len(cell.sealed) for cell in cells))

    def select(self, tags: Tags) -> Iterator[Cell]:
        """See `Store.select`."""
        cells = size = 0
        try:
            with self._counting_errors():
                for cell in self._store.select(tags):
                    cells, size = cells + 1, size + len(cell.sealed)
                    yield cell
        finally:
            self._metrics.done("selected", cells, size)

    def measure(self, tags: Tags) -> Size:
        """See `Store.measure`."""
        with self._counting_errors():
            return self._store.measure(tags)

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

    def free_bytes(self) -> float:
        """See `Store.free_bytes`."""
        return self._store.free_bytes()

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
        except Exception:
            self._metrics.failed("unforeseen")
            raise
