"""Whether two questions are about the same place or device: the least that an access pattern can reveal.

Islam, Kuzu and Kantarcioglu, Access Pattern Disclosure on Searchable Encryption, NDSS 2012. An attacker who can tell
which questions belong together needs only one name to know them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from attacks.learning import nearest, shape
from attacks.linking import asked_classes
from attacks.questions import About, ScenarioQuestion
from attacks.view import AttackerView, Known

__all__ = ["by_bin", "by_shape", "by_token", "chosen"]


def chosen(questions: list[ScenarioQuestion], about: About) -> Mapping[int, tuple[int, bool]]:
    """Pairs each question, by its instant, with an earlier one, and says whether both have the same key.

    Only questions whose key was asked about before are used. A coin decides whether the other one has the same key;
    which of the candidates it is is random, too, so that the time between the two does not reveal the answer.
    """
    rng = np.random.default_rng(len(questions))
    earlier: dict[bool, list[ScenarioQuestion]] = {}
    pairs: dict[int, tuple[int, bool]] = {}
    candidates = [question for question in questions if question.about == about]
    for number, question in enumerate(candidates):
        for same in (True, False):
            earlier[same] = [other for other in candidates[:number] if (other.key == question.key) == same]
        if all(earlier.values()):
            same = bool(rng.random() < 0.5)
            pairs[question.at] = earlier[same][int(rng.integers(len(earlier[same])))].at, same
    return pairs


def by_token(view: AttackerView, known: Known) -> list[str]:
    """They are about the same if they name the same tags."""
    return [str(view.tags(at) == view.tags(view.partners[at])) for at in view.instants]


def by_bin(view: AttackerView, known: Known) -> list[str]:
    """They are about the same if they are linked to the same bin."""
    links = view.evidence.links
    bins: dict[int, int] = defaultdict(int)
    for at in {*view.instants, *view.partners.values()}:
        bins[at] = int(asked_classes(view.tags(at), links)[:-1].argmax())
    return [str(bins[at] == bins[view.partners[at]]) for at in view.instants]


def by_shape(view: AttackerView, known: Known) -> list[str]:
    """The answer of known pairs that differ as much: in tags, in cells, in what was fetched again and what was not."""
    return nearest(np.array([_compared(view, at, view.partners[at]) for at in view.instants]), known)


def _compared(view: AttackerView, at: int, partner: int) -> list[float]:
    one, other = set(view.tags(at)), set(view.tags(partner))
    links = view.evidence.links
    likely = asked_classes(view.tags(at), links) @ asked_classes(view.tags(partner), links)
    shared = len(one & other) / max(len(one | other), 1)
    apart = np.abs(np.array(shape(view, at)) - np.array(shape(view, partner)))
    return [shared, float(bool(one)), float(bool(other)), float(likely), *apart.tolist()]
