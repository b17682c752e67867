"""What is wrong with the store.

>>> verification = Verification(tags=48, cells=12, findings=())
>>> verification.sound
True
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class VerificationProgress:
    """How far the work has come.

    Attributes:
        tags: Tags that were asked for until now. A tag is what the server finds a cell by.
        tags_total: Tags that are asked for in all.
        cells: Cells that came until now.
        findings: Findings until now.
    """

    tags: int
    tags_total: int
    cells: int
    findings: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the cells of one segment. One fault may show in more than one count.

    Attributes:
        dataset: The data set.
        group: The columns that the cell holds: "core", "rest" or "rollup"; "" for cells that nobody asked for.
        first_start: The first instant at which a record of these cells can begin, in UTC.
        last_start: The last such instant.
        missing: Cells that are stored by the proxy's manifest and did not come.
        unexpected: Cells that came again, out of order or unasked.
        damaged: Cells that came and are not those that were stored: they were changed or moved.
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
    """What came of a verification.

    Attributes:
        tags: Tags that were asked for.
        cells: Cells that came.
        findings: What is wrong, ascending by data set.
    """

    tags: int
    cells: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether the store is as the proxy's manifest says."""
        return not self.findings

    @property
    def missing(self) -> int:
        """Cells that are missing, in all."""
        return sum(finding.missing for finding in self.findings)

    @property
    def unexpected(self) -> int:
        """Cells that are unexpected, in all."""
        return sum(finding.unexpected for finding in self.findings)

    @property
    def damaged(self) -> int:
        """Cells that are damaged, in all."""
        return sum(finding.damaged for finding in self.findings)
