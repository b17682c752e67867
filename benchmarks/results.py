"""Results: what was measured on both sides, and whether it meets the targets.

>>> row = Measurement("presence", 3.0, 1.0, "ms", (Bound(PRESENCE, 3.0),))
>>> row.ratio, row.bounds[0].met
(3.0, False)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.targets import PRESENCE, PerformanceTarget

__all__ = ["PRESENCE", "BenchmarkResults", "Bound", "Measurement", "Section"]


@dataclass(frozen=True)
class Bound:
    """A target and the value that is held against it."""

    target: PerformanceTarget
    value: float

    @property
    def met(self) -> bool:
        """Whether the value meets the target."""
        return self.target.met(self.value)


@dataclass(frozen=True)
class Measurement:
    """One row of a report.

    Attributes:
        what: What was measured.
        encrypted: The value of the first column; a median where it was measured more than once.
        plaintext: The value of the second column; None where there is none.
        unit: The unit of both.
        bounds: The targets it is held against.
        note: What a reader needs to know.
    """

    what: str
    encrypted: float
    plaintext: float | None
    unit: str
    bounds: tuple[Bound, ...] = ()
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The first value divided by the second."""
        return self.encrypted / self.plaintext if self.plaintext else None


@dataclass
class Section:
    """The results of one benchmark.

    Attributes:
        name: Its name: that of the benchmark, followed by the scale if it runs at each scale.
        title: What it measured, and at which scale.
        text: How it was measured.
        sides: The headings of the two columns.
        rows: The results.
        run: When and where it was measured, and at which commit.
    """

    name: str
    title: str
    text: str
    sides: tuple[str, str] = ("encrypted", "plaintext")
    rows: list[Measurement] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    def add(self, row: Measurement) -> None:
        """Adds a result and prints it at once, to show progress."""
        self.rows.append(row)
        other = "" if row.plaintext is None else f"   {self.sides[1]} {shown(row.plaintext, row.unit)}"
        ratio = "" if row.ratio is None else f"   ratio {row.ratio:.3g}"
        verdict = "".join(f"   {bound.target}: {'met' if bound.met else 'NOT MET'}" for bound in row.bounds)
        line = f"{row.what:44} {self.sides[0]} {shown(row.encrypted, row.unit)}{other}{ratio}{verdict}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


@dataclass
class BenchmarkResults:
    """All results.

    Attributes:
        sections: The results of each benchmark, in the order in which they were measured.
        run: When and where this run takes place, and at which commit.
    """

    sections: list[Section] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    def section(self, name: str, title: str, text: str, sides: tuple[str, str] = ("encrypted", "plaintext")) -> Section:
        """Begins a section; it replaces one of the same name from an earlier run."""
        sys.stdout.write(f"\n{title}\n")
        fresh = Section(name, title, text, sides, run=self.run)
        kept = [fresh if section.name == name else section for section in self.sections]
        self.sections = kept if fresh in kept else [*kept, fresh]
        return fresh

    def bounds(self, target: PerformanceTarget) -> Iterator[Bound]:
        """Every value held against a target."""
        for section in self.sections:
            for row in section.rows:
                yield from (bound for bound in row.bounds if bound.target == target)


def shown(value: float, unit: str) -> str:
    """A value with its unit, rounded for reading.

    >>> shown(178570.2, "sessions/s"), shown(0.1234, "ms")
    ('178,570 sessions/s', '0.123 ms')
    """
    return f"{rounded(value)} {unit}"


def rounded(value: float) -> str:
    """A value rounded to three digits, or to a whole number if it has more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def held_against(targets: Iterable[PerformanceTarget], value: float, scale: int) -> tuple[Bound, ...]:
    """The value held against those of the targets that apply at the scale."""
    return tuple(Bound(target, value) for target in targets if target.scale in (0, scale))
