"""Whether the store holds what it must, and what is wrong with it.

>>> verification = Verification(tags=48, cells=12, findings=())
>>> verification.sound
True
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class VerificationProgress:
    """How far a verification has got.

    Attributes:
        tags: Tags requested so far. A tag is what the server finds a cell by.
        tags_total: Tags to be requested in total.
        cells: Cells received so far.
        findings: Findings so far.
    """

    tags: int
    tags_total: int
    cells: int
    findings: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the cells of one segment. A single fault may show up in more than one count.

    Attributes:
        dataset: The data set.
        group: The columns that the cell holds: "core", "rest" or "rollup"; "" for cells that were not requested.
        first_start: The first instant at which a record of these cells can begin, in UTC.
        last_start: The last such instant.
        missing: Cells that are in the proxy's manifest but were not returned.
        unexpected: Cells that were returned twice, out of order or unrequested.
        damaged: Cells that were returned but are not those that were stored: they were changed or moved.
    """

    dataset: str
    group: str
    first_start: datetime
    last_start: datetime
    missing: int
    unexpected: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification.

    Attributes:
        tags: Tags requested.
        cells: Cells received.
        findings: What is wrong, ascending by data set.
    """

    tags: int
    cells: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether the store matches the proxy's manifest."""
        return not self.findings

    @property
    def missing(self) -> int:
        """How many cells are missing in total."""
        return sum(finding.missing for finding in self.findings)

    @property
    def unexpected(self) -> int:
        """How many cells are unexpected in total."""
        return sum(finding.unexpected for finding in self.findings)

    @property
    def damaged(self) -> int:
        """How many cells are damaged in total."""
        return sum(finding.damaged for finding in self.findings)
