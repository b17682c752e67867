"""Results: what was measured on both sides, and how it stands to what was promised.

>>> row = Row("presence", 3.0, 1.0, "ms", (Bound(PRESENCE, 3.0),))
>>> row.ratio, row.bounds[0].met
(3.0, False)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.targets import PRESENCE, Target

__all__ = ["PRESENCE", "Bound", "Results", "Row", "Section"]


@dataclass(frozen=True)
class Bound:
    """A target and the value that it is held against."""

    target: Target
    value: float

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.target.met(self.value)


@dataclass(frozen=True)
class Row:
    """One thing measured.

    Attributes:
        what: What.
        encrypted: Ours, a median where it was measured more than once.
        plaintext: The other side's; None where there is none.
        unit: Of both.
        bounds: Targets.
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
        """Ours divided by the other side's."""
        return self.encrypted / self.plaintext if self.plaintext else None


@dataclass
class Section:
    """The results of one benchmark.

    Attributes:
        name: Its name, as `--only` takes it.
        title: What it measured, and at which scale.
        text: How it was measured.
        sides: What the two columns are.
        rows: The results.
        run: When and where it was measured, and at which commit.
    """

    name: str
    title: str
    text: str
    sides: tuple[str, str] = ("encrypted", "plaintext")
    rows: list[Row] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Adds a result and says it at once, for whoever watches."""
        self.rows.append(row)
        other = "" if row.plaintext is None else f"   {self.sides[1]} {shown(row.plaintext, row.unit)}"
        ratio = "" if row.ratio is None else f"   ratio {row.ratio:.3g}"
        verdict = "".join(f"   {bound.target}: {'met' if bound.met else 'NOT MET'}" for bound in row.bounds)
        line = f"{row.what:44} {self.sides[0]} {shown(row.encrypted, row.unit)}{other}{ratio}{verdict}"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


@dataclass
class Results:
    """All that was measured.

    Attributes:
        sections: The results of each benchmark, in the order in which they were measured.
        run: When and where this run is, and at which commit.
    """

    sections: list[Section] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    def section(self, name: str, title: str, text: str, sides: tuple[str, str] = ("encrypted", "plaintext")) -> Section:
        """Begins a section, in the place of one that was measured earlier."""
        sys.stdout.write(f"\n{title}\n")
        fresh = Section(name, title, text, sides, run=self.run)
        kept = [fresh if section.name == name else section for section in self.sections]
        self.sections = kept if fresh in kept else [*kept, fresh]
        return fresh

    def named(self, name: str) -> Section | None:
        """The section of a name, if it was measured."""
        return next((section for section in self.sections if section.name == name), None)

    def bounds(self, target: Target) -> Iterator[Bound]:
        """Everything held against a target."""
        for section in self.sections:
            for row in section.rows:
                yield from (bound for bound in row.bounds if bound.target == target)


def shown(value: float, unit: str) -> str:
    """A value as people read it.

    >>> shown(178570.2, "sessions/s"), shown(0.1234, "ms")
    ('178,570 sessions/s', '0.123 ms')
    """
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def held(targets: Iterable[Target], value: float, scale: int) -> tuple[Bound, ...]:
    """A value held against those of the targets that are set at the scale."""
    return tuple(Bound(target, value) for target in targets if target.scale in (0, scale))
