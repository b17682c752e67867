"""Scores: how often an attack is right, compared with a guess without the trace.

The attacker knows half of the truth, chooses the attack that does best on it, and is scored on the other half; then the
halves are swapped. So the best attack is scored, but not for mere luck.

>>> beyond_chance(hits=30, of=100, chance=0.1)
True
>>> beyond_chance(hits=14, of=100, chance=0.1)
False
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attacks.rows import ReportRow
from attacks.view import Attack, AttackerView, Known

__all__ = ["SURE", "Fit", "Score", "beyond_chance", "fit", "score"]

Floats = npt.NDArray[np.float64]

# An outcome less probable than this is not attributed to luck.
SURE = 0.001


@dataclass(frozen=True)
class Score:
    """How well something was guessed.

    Attributes:
        hits: How many guesses were right.
        of: How many there were.
        chance: The share of right guesses without the trace.
        attack: The attack that was chosen, or both if the halves chose different ones.
    """

    hits: int
    of: int
    chance: float
    attack: str

    @property
    def success(self) -> float:
        """The share of guesses that were right."""
        return self.hits / self.of

    @property
    def learned(self) -> bool:
        """Whether that is more than chance can explain."""
        return beyond_chance(self.hits, self.of, self.chance)


@dataclass(frozen=True)
class Fit:
    """How well a series was guessed.

    Attributes:
        r: Pearson's correlation with the truth.
        error: The median of the relative errors, where the truth is not zero.
    """

    r: float
    error: float


def score(row: ReportRow, view: AttackerView, truth: Mapping[int, str]) -> Score:
    """Scores the attacks of a row.

    Chance is the success of the best guess without the trace: a prior of the row, or always the same guess, whichever
    is best in hindsight.

    Args:
        row: What is guessed.
        view: What the attacker sees and knows.
        truth: The truth, by instant.
    """
    labels = [truth[at] for at in view.instants]
    attacks = {**row.attacks, **row.priors}
    hits, chosen = 0, list[str]()
    blind: Counter[str] = Counter()
    for fold in (0, 1):
        known = {at: labels[at] for at in range(fold, len(labels), 2)}
        unknown = range(1 - fold, len(labels), 2)
        chosen.append(_best(attacks, view, known))
        hits += _right(attacks[chosen[-1]], view, known, unknown, labels)
        blind.update({name: _right(prior, view, known, unknown, labels) for name, prior in row.priors.items()})
    always = Counter(labels).most_common(1)[0][1]
    return Score(hits, len(labels), max(always, *blind.values()) / len(labels), ", ".join(dict.fromkeys(chosen)))


def fit(guess: Floats, truth: npt.NDArray[np.int64]) -> Fit:
    """Compares a guessed series with the true one."""
    nonzero = truth > 0
    error = float(np.median(np.abs(guess[nonzero] - truth[nonzero]) / truth[nonzero]))
    return Fit(correlation(guess, truth), error)


def correlation(one: Floats, other: npt.NDArray[np.int64] | Floats) -> float:
    """Pearson's r; 0 where one of the two does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def beyond_chance(hits: int, of: int, chance: float) -> bool:
    """Whether this many hits or more are less likely than `SURE` by chance: the tail of a binomial distribution."""
    chance = min(max(chance, 1 / of), 1.0)
    tail = (math.comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(hits, of + 1))
    return math.fsum(tail) < SURE


def _best(attacks: dict[str, Attack], view: AttackerView, known: Known) -> str:
    """The attack that does best on one half of what is known, given the other half."""
    positions = list(known)
    halves = positions[0::2], positions[1::2]
    hits: Counter[str] = Counter(dict.fromkeys(attacks, 0))
    for training, held_out in (halves, halves[::-1]):
        known_half = {position: known[position] for position in training}
        labels = {position: known[position] for position in held_out}
        for name, attack in attacks.items():
            hits[name] += _right(attack, view, known_half, held_out, labels)
    return hits.most_common(1)[0][0]


def _right(
    attack: Attack, view: AttackerView, known: Known, unknown: Iterable[int], labels: dict[int, str] | list[str]
) -> int:
    guesses = attack(view, known)
    return sum(guesses[at] == labels[at] for at in unknown)
