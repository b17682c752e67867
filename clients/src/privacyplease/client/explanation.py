"""What the storage server sees of a question."""

from __future__ import annotations

from dataclasses import dataclass

from privacyplease.client.occupancy import Count


@dataclass(frozen=True, slots=True)
class ExplainedCell:
    """A cell as the storage server has it.

    Attributes:
        tag: 16 bytes, by which it was found.
        head: The first 64 bytes of its ciphertext.
        size: The size of its ciphertext, in bytes.
        records_opened: How many records it held; of a roll-up, how many sketches.
        records_kept: How many of them belong to the answer.
        rollup: Whether it is a roll-up.
    """

    tag: bytes
    head: bytes
    size: int
    records_opened: int
    records_kept: int
    rollup: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What went to the storage server, what came back, and what the proxy made of it.

    Attributes:
        tags: How many tags were sent, those of roll-ups among them. They follow from the interval alone.
        first_tags: The first of them, ascending; at most 64.
        cells: How many cells came back, roll-ups among them.
        bytes: Their size, all together.
        first_cells: The first of them; at most 64.
        records_opened: How many records the cells held. Roll-ups hold none.
        records_kept: How many of them belong to the answer. One that was sent twice counts twice until it is compacted.
        records_distinct: How many different ones these are: of several forms of a record one counts.
        answer: Distinct devices, as `count` gives them, or sessions of the device.
        rollup_tags: How many of the tags are of roll-ups, which stand for settled segments inside the interval.
        rollup_cells: How many of the cells are roll-ups.
        sketches_opened: How many sketches the roll-ups held: each says which devices were at a place in such a segment.
        sketches_kept: How many of them are of the places asked about.
    """

    tags: int
    first_tags: tuple[bytes, ...]
    cells: int
    bytes: int
    first_cells: tuple[ExplainedCell, ...]
    records_opened: int
    records_kept: int
    records_distinct: int
    answer: Count
    rollup_tags: int
    rollup_cells: int
    sketches_opened: int
    sketches_kept: int
