"""The steps of a compaction."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compacted:
    """A completed step of a compaction.

    Attributes:
        dataset: The data set.
        merged_cells: Cells that were replaced.
        written_cells: Cells that replace them.
        removed_cells: Cells replaced earlier that were now removed from the storage server.
    """

    dataset: str
    merged_cells: int
    written_cells: int
    removed_cells: int
