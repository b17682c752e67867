"""Latency of questions on both sides, and that both answer the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping

from benchmarks import sides
from benchmarks.questions import Family, Kind, Question, families
from benchmarks.results import Bound, Results, Row, held
from benchmarks.rounds import in_turn
from benchmarks.targets import (
    BUILDING,
    BUSIEST,
    FIRST,
    FIRST_EVER_MS,
    FIRST_MS,
    PRESENCE,
    PRESENCE_MS,
    QUIET,
    Target,
)
from benchmarks.world import World
from privacyplease.client import Client

# Whoever takes longer is asked fewer times.
_LONGEST_S = 15.0

_TARGETS = {
    "count, busiest place": BUSIEST,
    "count, quiet place": QUIET,
    "count, whole building": BUILDING,
}


def run(world: World, results: Results, rounds: int) -> Iterator[None]:
    """Asks both sides in turn; gives control back after each family of questions."""
    sessions = world.data.sessions
    first = results.section(
        f"first-{sessions}",
        f"Questions to {sessions:,} sessions, asked for the first time",
        "The same questions to a proxy that keeps no cell in memory: each is fetched, verified and opened for each.",
    )
    with sides.without_memory(world.encrypted) as client:
        for family in families(world.data):
            asked = Asked({"encrypted": client, "plaintext": world.plaintext.client}, family)
            took = asked.medians(rounds)
            row = Row(family.name, took["encrypted"], took["plaintext"], "ms")
            first.add(row if row.ratio is None else _held_first(row, family, sessions))
            yield
    again = results.section(
        f"questions-{sessions}",
        f"Questions to {sessions:,} sessions",
        "From the call of the SDK to its answer, in the middle of the data; all answers of both sides are compared.",
    )
    for family in families(world.data):
        asked = Asked({"encrypted": world.encrypted.side.client, "plaintext": world.plaintext.client}, family)
        asked.medians(rounds=1)
        took = asked.medians(rounds)
        row = Row(family.name, took["encrypted"], took["plaintext"], "ms")
        again.add(row if row.ratio is None else _held(row, family, sessions))
        yield


def _held(row: Row, family: Family, scale: int) -> Row:
    bounds = held(_targets(family), row.ratio or 0, scale)
    if family.questions[0].kind is Kind.PRESENCE:
        bounds += held([PRESENCE_MS], row.encrypted, scale)
    return Row(row.what, row.encrypted, row.plaintext, row.unit, bounds)


def _held_first(row: Row, family: Family, scale: int) -> Row:
    bounds: tuple[Bound, ...] = ()
    if family.questions[0].kind in (Kind.PRESENCE, Kind.COUNT):
        if family.range in ("1 h", "1 d", "7 d"):
            bounds = held([FIRST], row.ratio or 0, scale) + held([FIRST_MS], row.encrypted, scale)
        elif family.range == "all":
            bounds = held([FIRST_EVER_MS], row.encrypted, scale)
    return Row(row.what, row.encrypted, row.plaintext, row.unit, bounds)


def _targets(family: Family) -> list[Target]:
    if family.questions[0].kind is Kind.PRESENCE:
        return [PRESENCE]
    return [_TARGETS[family.subject]] if family.subject in _TARGETS else []


class Asked:
    """A family of questions, asked one after the other of each side."""

    def __init__(self, clients: Mapping[str, Client], family: Family) -> None:
        """Asks nothing yet.

        Args:
            clients: Of each side, by a name that begins no other one's.
            family: The questions.
        """
        self._clients = clients
        self._family = family
        self._answers: dict[Question, object] = {}

    def medians(self, rounds: int) -> dict[str, float]:
        """The median of each side, in ms; a round is every question.

        Raises:
            RuntimeError: Two sides do not answer alike.
        """
        asking = {
            f"{side} {number}": lambda side=side, question=question: self._timed(side, question)
            for number, question in enumerate(self._family.questions)
            for side in self._clients
        }
        took = in_turn(asking, rounds, _LONGEST_S / len(self._family.questions))
        return {
            side: statistics.median(ms for name, ms in took.items() if name.startswith(side)) for side in self._clients
        }

    def _timed(self, side: str, question: Question) -> float:
        began = time.perf_counter()
        self._ask(self._clients[side], question)
        return (time.perf_counter() - began) * 1_000

    def _ask(self, client: Client, question: Question) -> None:
        answer = question.ask(client)
        if self._answers.setdefault(question, answer) != answer:
            raise RuntimeError(f"the two sides do not answer {question} alike")
