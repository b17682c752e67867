"""What an attacker has: the trace, what is public, and the instants of the questions to guess about.

An attack is a function from a view and the questions whose truth is known (`Known`) to a guess for each question.
Attacks that learn nothing from known questions ignore them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from attacks.campus import Knowledge
from attacks.linking import Links, linked
from attacks.trace import CallTrace, TracedCall

Known = Mapping[int, str]  # the truth about some questions, by their positions in `AttackerView.instants`
Attack = Callable[["AttackerView", Known], list[str]]

READS = ("Select", "Measure")


class Evidence:
    """What is derived from a trace once, for all attacks on it."""

    def __init__(self, trace: CallTrace) -> None:
        self.trace = trace

    @cached_property
    def links(self) -> Links:
        """How likely each tag is in each bin."""
        return linked(self.trace)

    @cached_property
    def reads(self) -> Mapping[int, list[TracedCall]]:
        """The calls that read, by instant."""
        calls: dict[int, list[TracedCall]] = defaultdict(list)
        for call in self.trace.named(*READS):
            calls[call.at].append(call)
        return calls

    @cached_property
    def arrivals(self) -> list[TracedCall]:
        """The calls by which records arrive: appends, but not those of a compactor.

        A compactor reads about as much as it writes; at other times, less than half of what arrives is read.
        """
        read = {at: sum(call.length for call in calls) for at, calls in self.reads.items()}
        sent: dict[int, int] = defaultdict(int)
        for call in self.trace.named("Append"):
            sent[call.at] += call.length
        return [call for call in self.trace.named("Append") if 2 * read.get(call.at, 0) <= sent[call.at]]


@dataclass(frozen=True)
class AttackerView:
    """What an attacker has.

    Attributes:
        evidence: The trace, and what follows from it.
        knowledge: What is public.
        groups: The group of each place and device, if that is public.
        instants: When the questions to be guessed were asked, or the hours to be guessed about begin, in ms since 1970.
        partners: For each question that is to be compared with an earlier one, when that was asked.
    """

    evidence: Evidence
    knowledge: Knowledge
    groups: Mapping[str, int]
    instants: list[int] = field(default_factory=list)
    partners: Mapping[int, int] = field(default_factory=dict)

    def of(self, instants: list[int], partners: Mapping[int, int]) -> AttackerView:
        """The same, for other instants."""
        return replace(self, instants=instants, partners=partners)

    def calls(self, instant: int) -> list[TracedCall]:
        """The calls that read at an instant."""
        return self.evidence.reads.get(instant, [])

    def tags(self, instant: int) -> list[int]:
        """The tags that were asked for at an instant, each once, in the order sent."""
        return list(dict.fromkeys(tag for call in self.calls(instant) for tag in call.tags))
