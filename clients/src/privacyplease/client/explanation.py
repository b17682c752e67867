"""What the storage server sees of a question."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExplainedCell:
    """A cell as the storage server has it.

    Attributes:
        tag: 16 bytes, by which it was found.
        cell_id: 16 bytes.
        head: The first 64 bytes of its ciphertext.
        size: The size of its ciphertext, in bytes.
        records_opened: How many records it held.
        records_kept: How many of them belong to the answer.
    """

    tag: bytes
    cell_id: bytes
    head: bytes
    size: int
    records_opened: int
    records_kept: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What went to the storage server, what came back, and what the proxy made of it.

    Attributes:
        index: The index that was asked: "subject" or "place".
        tags: How many tags were sent.
        first_tags: The first of them, ascending; at most 64.
        cells: How many cells came back.
        bytes: Their size, all together.
        first_cells: The first of them; at most 64.
        records_opened: How many records the cells held.
        records_kept: How many of them belong to the answer.
        answer: Distinct devices, or sessions of the device.
    """

    index: str
    tags: int
    first_tags: tuple[bytes, ...]
    cells: int
    bytes: int
    first_cells: tuple[ExplainedCell, ...]
    records_opened: int
    records_kept: int
    answer: int
