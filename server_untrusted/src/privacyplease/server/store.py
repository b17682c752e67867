"""What the server asks of a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from privacyplease.server.cells import Cell, Tags


class Size(NamedTuple):
    """How much something holds.

    Attributes:
        cells: the number of cells.
        bytes: the sum of the lengths of their ciphertexts, or, of a whole store, what it takes on disk.
    """

    cells: int
    bytes: int


class Description(NamedTuple):
    """A store as it is.

    Attributes:
        schema_version: the version of the tables in use.
        database: the database and its version, as "mariadb 10.11.6".
        size: the database's own estimate.
    """

    schema_version: int
    database: str
    size: Size


class Store(Protocol):
    """Keeps cells by tag, one each.

    A write is one transaction and durable at return. Every method may be called from any thread, and raises
    `StoreUnavailableError` when the database is unavailable.
    """

    def append(self, cells: Sequence[Cell]) -> None:
        """Stores cells (ascending); one whose tag is already stored is left as it is."""

    def select(self, tags: Tags) -> Iterator[Cell]:
        """Streams the cells of these tags, ascending.

        Memory stays bounded however many cells match. Closing the iterator gives its connection back at once.
        """

    def measure(self, tags: Tags) -> Size:
        """Measures what `select` would stream, without reading it."""

    def delete(self, tags: Tags) -> int:
        """Removes the cells of these tags and returns how many there were."""

    def describe(self) -> Description:
        """Tells what the database knows of itself, at a constant cost."""

    def connections(self) -> int:
        """How many connections to the database are in use."""

    def close(self) -> None:
        """Gives all connections back."""
