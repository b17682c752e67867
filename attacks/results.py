"""The results of the attacks on one store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks import order, volume
from attacks.recording import Recording
from attacks.rows import HIDDEN, SHOWN, ReportRow
from attacks.scores import Fit, Score, correlation, fit, score
from attacks.view import AttackerView, Evidence

__all__ = ["MUST", "AttackResults", "attacked", "failures"]

# The least share of right guesses that an attack must reach on its controls.
MUST = 0.9


@dataclass(frozen=True)
class AttackResults:
    """What was guessed about a store.

    Attributes:
        scores: By the title of the row.
        people: How well the number of people in the building was guessed, hour by hour.
        profile: How well last week's profile by itself guesses them.
        volume: Pearson's r of the volume that arrived in each hour and the sessions that were logged in it.
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
    view = AttackerView(Evidence(recording.trace), public, recording.groups if recording.groups_known else {})
    scores = {row.title: _scored(row, recording, view) for row in (*HIDDEN, *SHOWN)}
    ordered = order.people(view)
    arrived = volume.arrivals(view.evidence, public.first, 2 * len(public.people))[len(public.people) :]
    return AttackResults(
        scores,
        fit(ordered if ordered.size else volume.people(view), truth.people),
        fit(public.people.astype(np.float64), truth.people),
        correlation(arrived, truth.place_hours.sum(axis=0)),
        len(recording.trace.calls),
        sum(not view.calls(question.at) for question in truth.questions),
        len(truth.questions),
    )


def failures(name: str, results: AttackResults) -> list[str]:
    """What failed: hidden things that the product reveals, and controls that hide what they should reveal.

    Args:
        name: `product`, or the name of a control.
        results: Its results.
    """
    if name == "product":
        return [f"the product reveals {row.title}" for row in HIDDEN if results.scores[row.title].learned]
    return [f"{name} hides {row.title}" for row in (*HIDDEN, *SHOWN) if _holds(name, row, results)]


def _scored(row: ReportRow, recording: Recording, view: AttackerView) -> Score:
    truth = row.truth(recording)
    return score(row, view.of(sorted(truth), row.partners(recording)), truth)


def _holds(name: str, row: ReportRow, results: AttackResults) -> bool:
    return name in row.controls and results.scores[row.title].success < MUST
