"""What compaction does, step by step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compacted:
    """A step of a compaction that is done.

    Attributes:
        dataset: The data set.
        merged_cells: Cells that were replaced.
        written_cells: Cells that replace them.
        removed_cells: Cells, replaced earlier, that were removed from the storage server.
    """

    dataset: str
    merged_cells: int
    written_cells: int
    removed_cells: int
