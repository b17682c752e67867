"""What the server requires of a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from privacyplease.server.cells import Cell, Tags


class Size(NamedTuple):
    """The size of a selection or of a store.

    Attributes:
        cells: The number of cells.
        bytes: The sum of the lengths of their ciphertexts; for a whole store, its size on disk.
    """

    cells: int
    bytes: int


class Description(NamedTuple):
    """What a store says of itself.

    Attributes:
        schema_version: The version of the tables in use.
        database: The database and its version, as "mariadb 10.11.6".
        size: The database's own estimate.
    """

    schema_version: int
    database: str
    size: Size


class Store(Protocol):
    """Keeps cells by tag, one per tag.

    A write is one transaction and durable at return. Every method may be called from any thread, and raises
    `StoreUnavailableError` when the database is unavailable.
    """

    def append(self, cells: Sequence[Cell]) -> None:
        """Stores cells (ascending); one whose tag is already stored is left as it is."""

    def select(self, tags: Tags) -> Iterator[Cell]:
        """Streams the cells of these tags, ascending.

        Memory stays bounded however many cells match. Closing the iterator returns its connection to the pool at once.
        """

    def measure(self, tags: Tags) -> Size:
        """Measures what `select` would stream, without reading it."""

    def delete(self, tags: Tags) -> int:
        """Removes the cells of these tags and returns how many there were."""

    def describe(self) -> Description:
        """Describes the store, at a constant cost."""

    def connections(self) -> int:
        """How many connections to the database are in use."""

    def free_bytes(self) -> float:
        """How many bytes are free on the disk of the cells; NaN if only the database knows."""

    def close(self) -> None:
        """Closes all connections."""
