"""The latency of questions on both sides, and a check that both give the same answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from benchmarks import systems
from benchmarks.interleaved_runs import run_interleaved
from benchmarks.questions import BenchmarkQuestion, QuestionFamily, QuestionKind, families
from benchmarks.results import BenchmarkResults, Bound, Measurement, held_against
from benchmarks.system_pair import SystemPair
from benchmarks.targets import (
    BUILDING,
    BUSIEST,
    FIRST,
    FIRST_ALL_TIME_MS,
    FIRST_MS,
    PRESENCE,
    PRESENCE_MS,
    QUIET,
    PerformanceTarget,
)
from privacyplease.client import Client

# A side that has spent this long on a family is asked no more rounds of it.
_LONGEST_S = 15.0

_COUNT_TARGETS = {
    "count, busiest place": BUSIEST,
    "count, quiet place": QUIET,
    "count, whole building": BUILDING,
}


def run(pair: SystemPair, results: BenchmarkResults, rounds: int) -> Iterator[None]:
    """Asks both sides in turn; yields after each family of questions."""
    sessions = pair.data.sessions
    first = results.section(
        f"first-{sessions}",
        f"Questions to {sessions:,} sessions, asked for the first time",
        "The same questions to a proxy that keeps no cell in memory: each question fetches, verifies and opens its "
        "cells anew.",
    )
    with systems.without_cache(pair.encrypted) as client:
        for family in families(pair.data):
            timer = FamilyTimer({"encrypted": client, "plaintext": pair.plaintext.client}, family)
            first.add(_with_first_bounds(timer.measurement(rounds), family, sessions))
            yield
    again = results.section(
        f"questions-{sessions}",
        f"Questions to {sessions:,} sessions",
        "From the call of the SDK to its answer, in the middle of the data. All answers of both sides are compared.",
    )
    for family in families(pair.data):
        clients = {"encrypted": pair.encrypted.system.client, "plaintext": pair.plaintext.client}
        timer = FamilyTimer(clients, family)
        timer.medians(rounds=1)
        again.add(_with_bounds(timer.measurement(rounds), family, sessions))
        yield


def _with_bounds(measurement: Measurement, family: QuestionFamily, scale: int) -> Measurement:
    if measurement.ratio is None:
        return measurement
    bounds = held_against(_ratio_targets(family), measurement.ratio, scale)
    if family.kind is QuestionKind.PRESENCE:
        bounds += held_against([PRESENCE_MS], measurement.encrypted, scale)
    return replace(measurement, bounds=bounds)


def _with_first_bounds(measurement: Measurement, family: QuestionFamily, scale: int) -> Measurement:
    if measurement.ratio is None:
        return measurement
    bounds: tuple[Bound, ...] = ()
    if family.kind in (QuestionKind.PRESENCE, QuestionKind.COUNT):
        if family.range in ("1 h", "1 d", "7 d"):
            bounds = held_against([FIRST], measurement.ratio, scale)
            bounds += held_against([FIRST_MS], measurement.encrypted, scale)
        elif family.range == "all":
            bounds = held_against([FIRST_ALL_TIME_MS], measurement.encrypted, scale)
    return replace(measurement, bounds=bounds)


def _ratio_targets(family: QuestionFamily) -> list[PerformanceTarget]:
    if family.kind is QuestionKind.PRESENCE:
        return [PRESENCE]
    return [_COUNT_TARGETS[family.subject]] if family.subject in _COUNT_TARGETS else []


class FamilyTimer:
    """Times a family of questions, asked of each side in turn, and compares the answers."""

    def __init__(self, clients: Mapping[str, Client], family: QuestionFamily) -> None:
        """Initialises the timer; asks nothing.

        Args:
            clients: The clients by the name of their side; no name is a prefix of another.
            family: The questions.
        """
        self._clients = clients
        self._family = family
        self._answers: dict[BenchmarkQuestion, object] = {}

    def measurement(self, rounds: int) -> Measurement:
        """The medians of the sides "encrypted" and "plaintext" as a row of a report."""
        medians = self.medians(rounds)
        return Measurement(self._family.name, medians["encrypted"], medians["plaintext"], "ms")

    def medians(self, rounds: int) -> dict[str, float]:
        """The median latency of each side, in ms; a round asks every question once.

        Raises:
            RuntimeError: The answers of two sides differ.
        """
        runs = {
            f"{side} {number}": lambda side=side, question=question: self._latency_ms(side, question)
            for number, question in enumerate(self._family.questions)
            for side in self._clients
        }
        latencies = run_interleaved(runs, rounds, _LONGEST_S / len(self._family.questions))
        return {
            side: statistics.median(ms for name, ms in latencies.items() if name.startswith(side))
            for side in self._clients
        }

    def _latency_ms(self, side: str, question: BenchmarkQuestion) -> float:
        began = time.perf_counter()
        answer = question.ask(self._clients[side])
        took = (time.perf_counter() - began) * 1_000
        if self._answers.setdefault(question, answer) != answer:
            raise RuntimeError(f"expected equal answers from both sides, got different ones to {question}")
        return took
