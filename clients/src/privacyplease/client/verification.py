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
        tags: Tags that were asked for until now. A tag is what the server finds cells by; many have no cell.
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
    """What is wrong with the cells of one bucket of time of one index. One fault may show in more than one count.

    Attributes:
        dataset: The data set.
        index: "subject" or "place".
        first_start: The first instant at which a record of these cells can begin, in UTC.
        last_start: The last such instant.
        missing: Cells that are stored by the proxy's ledger and did not come, at least.
        unexpected: Cells that came and are not stored, or came again, out of order or unasked, at least.
        damaged: Cells that came and do not open: they were changed or moved.
    """

    dataset: str
    index: str
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
        findings: What is wrong, ascending by data set and index.
    """

    tags: int
    cells: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether the store is as the proxy's ledger says."""
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
