"""What came of the attacks on one store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks import order, volume
from attacks.recording import Recording
from attacks.rows import HIDDEN, SHOWN, ReportRow
from attacks.scores import Fit, Score, correlation, fit, score
from attacks.view import AttackerView, Evidence

__all__ = ["MUST", "AttackResults", "attacked", "failures"]

# What a control's rows must come to, at least.
MUST = 0.9


@dataclass(frozen=True)
class AttackResults:
    """What was guessed of a store.

    Attributes:
        scores: By the title of the row.
        people: How well people in the building were guessed, hour by hour.
        profile: How well last week's profile alone guesses them.
        volume: Pearson's r of what came in each hour and how many sessions were logged in it.
        calls: How many calls the server saw.
        unseen: How many questions were answered without a call.
        questions: How many there were.
    """

    scores: dict[str, Score]
    people: Fit
    profile: Fit
    volume: float
    calls: int
    unseen: int
    questions: int


def attacked(recording: Recording) -> AttackResults:
    """Tries every attack on a recording."""
    public, truth = recording.knowledge, recording.truth
    view = AttackerView(Evidence(recording.trace), public, recording.groups if recording.told else {})
    scores = {row.title: _scored(row, recording, view) for row in (*HIDDEN, *SHOWN)}
    ordered = order.people(view)
    came = volume.arrivals(view.evidence, public.first, 2 * len(public.people))[len(public.people) :]
    return AttackResults(
        scores,
        fit(ordered if ordered.size else volume.people(view), truth.people),
        fit(public.people.astype(np.float64), truth.people),
        correlation(came, truth.place_hours.sum(axis=0)),
        len(recording.trace.calls),
        sum(not view.calls(question.at) for question in truth.questions),
        len(truth.questions),
    )


def failures(name: str, results: AttackResults) -> list[str]:
    """What is not as it must be: hidden things that the product shows, and controls that hold.

    Args:
        name: `product`, or that of a control.
        results: What came of it.
    """
    if name == "product":
        return [f"the product shows {row.title}" for row in HIDDEN if results.scores[row.title].learned]
    return [f"{name} hides {row.title}" for row in (*HIDDEN, *SHOWN) if _holds(name, row, results)]


def _scored(row: ReportRow, recording: Recording, view: AttackerView) -> Score:
    truth = row.truth(recording)
    return score(row, view.of(sorted(truth), row.partners(recording)), truth)


def _holds(name: str, row: ReportRow, results: AttackResults) -> bool:
    return name in row.controls and results.scores[row.title].success < MUST
