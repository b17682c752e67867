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
        records_opened: How many records it held; for a roll-up, how many sketches.
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
    """What the proxy sent to the storage server, what it got back, and what it used of that.

    Attributes:
        tags: How many tags were sent, including those of roll-ups. They depend only on the interval.
        first_tags: The first of them, ascending; at most 64.
        cells: How many cells were returned, including roll-ups.
        bytes: Their total size.
        first_cells: The first of them; at most 64.
        records_opened: How many records the cells held. Roll-ups hold none.
        records_kept: How many of them belong to the answer. A record that was sent twice counts twice until compaction.
        records_distinct: How many distinct records these are: several versions of a record count once.
        answer: The number of distinct devices, as from `count`, or of the device's sessions.
        rollup_tags: How many of the tags are those of roll-ups, which summarise settled segments inside the interval.
        rollup_cells: How many of the cells are roll-ups.
        sketches_opened: How many sketches the roll-ups held: one for each place in a segment, of the devices there.
        sketches_kept: How many of them are for the places in question.
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
