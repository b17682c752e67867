"""Frequency analysis: equal ciphertexts are counted and matched with names that are known to occur as often.

Naveed, Kamara and Wright, Inference Attacks on Property-Preserving Encrypted Databases, CCS 2015. It uses
deterministic columns of stored rows; where there are none, only the repetition of tags.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from attacks.matching import assigned, distances
from attacks.questions import About
from attacks.trace import DAY, HOUR, TracedRow
from attacks.view import AttackerView, Known

__all__ = [
    "busiest",
    "busiest_groups",
    "device_or_not",
    "groups",
    "names_of",
    "place_or_device",
    "popular",
    "repeated_devices",
    "repeated_places",
    "rows",
    "tokens",
]

_WEEK = 7 * DAY


def tokens(view: AttackerView, known: Known) -> list[str]:
    """The name that each question's token stands for."""
    names = {**names_of(view, About.PLACE), **names_of(view, About.DEVICE)}
    return [next((names[tag] for tag in view.tags(at) if tag in names), "") for at in view.instants]


def groups(view: AttackerView, known: Known) -> list[str]:
    """The group of the name that each question's token stands for."""
    return [str(view.groups.get(name, "")) for name in tokens(view, known)]


def place_or_device(view: AttackerView, known: Known) -> list[str]:
    """Whether each question's token is of the one column or the other."""
    about = {row.place: About.PLACE for _, row in rows(view)} | {row.device: About.DEVICE for _, row in rows(view)}
    guesses = (next((about[tag] for tag in view.tags(at) if tag in about), About.BUILDING) for at in view.instants)
    return [guess.value for guess in guesses]


def device_or_not(view: AttackerView, known: Known) -> list[str]:
    """Whether each question's token is of the column of devices."""
    return [str(about == About.DEVICE) for about in place_or_device(view, known)]


def popular(names: list[str], weights: np.ndarray) -> list[str]:
    """Names by weight, the heaviest first."""
    return [names[number] for number in np.argsort(-weights, kind="stable")]


def repeated_places(view: AttackerView, known: Known) -> list[str]:
    """The tags that are asked for most often are guessed to be the most popular place, and so on."""
    return _repeated(view, popular(view.knowledge.places, view.knowledge.place_hours.sum(axis=1)))


def repeated_devices(view: AttackerView, known: Known) -> list[str]:
    """Likewise for devices."""
    return _repeated(view, popular(view.knowledge.devices, view.knowledge.device_days.sum(axis=1)))


def busiest(view: AttackerView, known: Known) -> list[str]:
    """The place with the most rows that arrived in each hour, by its token."""
    names = names_of(view, About.PLACE)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for at, row in rows(view):
        counts[at // HOUR * HOUR][names[row.place]] += 1
    return [counts[at].most_common(1)[0][0] if counts[at] else "" for at in view.instants]


def busiest_groups(view: AttackerView, known: Known) -> list[str]:
    """The group with the most rows that arrived in each hour."""
    names = names_of(view, About.PLACE)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for at, row in rows(view):
        counts[at // HOUR * HOUR][str(view.groups.get(names[row.place], ""))] += 1
    return [counts[at].most_common(1)[0][0] if counts[at] else "" for at in view.instants]


def names_of(view: AttackerView, about: About) -> Mapping[int, str]:
    """The name of each token, from the number of its rows in each hour, or on each day, of the known week."""
    public = view.knowledge
    of_place = about == About.PLACE
    width, known, names = (
        (HOUR, public.place_hours, public.places) if of_place else (DAY, public.device_days, public.devices)
    )
    counts: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(_WEEK // width, np.int64))
    for at, row in rows(view):
        profile = counts[row.place if of_place else row.device]  # created even for tokens that only come later
        if at < public.first + _WEEK:
            profile[(at - public.first) // width] += 1
    if not 0 < len(counts) <= len(names):
        return {}
    matched = assigned(distances(np.array(list(counts.values())), known))
    return {token: names[name] for token, name in zip(counts, matched.tolist(), strict=True)}


def rows(view: AttackerView) -> list[tuple[int, TracedRow]]:
    """The rows that were stored, and when."""
    return [(call.at, row) for call in view.evidence.trace.named("Append") for row in call.rows]


def _repeated(view: AttackerView, names: list[str]) -> list[str]:
    asked = [frozenset(view.tags(at)) for at in view.instants]
    rank = {tags: number for number, (tags, _) in enumerate(Counter(asked).most_common())}
    return [names[min(rank[tags], len(names) - 1)] for tags in asked]
