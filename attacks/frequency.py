"""Frequency analysis: equal ciphertexts are counted and matched with what is known to occur as often.

Naveed, Kamara and Wright, Inference Attacks on Property-Preserving Encrypted Databases, CCS 2015. It takes
deterministic columns of stored rows; where there are none, only that the same tags are asked for again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from attacks.matching import assigned, distances
from attacks.questions import About
from attacks.trace import DAY, HOUR, Row
from attacks.view import Known, View

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


def tokens(view: View, known: Known) -> list[str]:
    """The name that each question's token stands for."""
    names = {**names_of(view, About.PLACE), **names_of(view, About.DEVICE)}
    return [next((names[tag] for tag in view.tags(at) if tag in names), "") for at in view.instants]


def groups(view: View, known: Known) -> list[str]:
    """The group of the name that each question's token stands for."""
    return [str(view.groups.get(name, "")) for name in tokens(view, known)]


def place_or_device(view: View, known: Known) -> list[str]:
    """Whether each question's token is of the one column or the other."""
    about = {row.place: About.PLACE for _, row in rows(view)} | {row.device: About.DEVICE for _, row in rows(view)}
    found = (next((about[tag] for tag in view.tags(at) if tag in about), About.BUILDING) for at in view.instants)
    return [each.value for each in found]


def device_or_not(view: View, known: Known) -> list[str]:
    """Whether each question's token is of the column of devices."""
    return [str(each == About.DEVICE) for each in place_or_device(view, known)]


def popular(names: list[str], weights: np.ndarray) -> list[str]:
    """Names by weight, the heaviest first."""
    return [names[at] for at in np.argsort(-weights, kind="stable")]


def repeated_places(view: View, known: Known) -> list[str]:
    """What is asked for most often is the most popular place, and so on."""
    return _repeated(view, popular(view.knowledge.places, view.knowledge.place_hours.sum(axis=1)))


def repeated_devices(view: View, known: Known) -> list[str]:
    """Likewise for devices."""
    return _repeated(view, popular(view.knowledge.devices, view.knowledge.device_days.sum(axis=1)))


def busiest(view: View, known: Known) -> list[str]:
    """The place with the most rows that came in each hour, by its token."""
    names = names_of(view, About.PLACE)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for at, row in rows(view):
        counts[at // HOUR * HOUR][names[row.place]] += 1
    return [counts[at].most_common(1)[0][0] if counts[at] else "" for at in view.instants]


def busiest_groups(view: View, known: Known) -> list[str]:
    """The group with the most rows that came in each hour."""
    names = names_of(view, About.PLACE)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for at, row in rows(view):
        counts[at // HOUR * HOUR][str(view.groups.get(names[row.place], ""))] += 1
    return [counts[at].most_common(1)[0][0] if counts[at] else "" for at in view.instants]


def names_of(view: View, about: About) -> Mapping[int, str]:
    """The name of each token, from how many rows of it came in each hour or on each day of the week that is known."""
    public = view.knowledge
    of_place = about == About.PLACE
    width, known, names = (
        (HOUR, public.place_hours, public.places) if of_place else (DAY, public.device_days, public.devices)
    )
    counts: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(_WEEK // width, np.int64))
    for at, row in rows(view):
        profile = counts[row.place if of_place else row.device]  # of tokens that only come later, too
        if at < public.first + _WEEK:
            profile[(at - public.first) // width] += 1
    if not 0 < len(counts) <= len(names):
        return {}
    found = assigned(distances(np.array(list(counts.values())), known))
    return {token: names[name] for token, name in zip(counts, found.tolist(), strict=True)}


def rows(view: View) -> list[tuple[int, Row]]:
    """Rows that were stored, and when."""
    return [(call.at, row) for call in view.evidence.trace.named("Append") for row in call.rows]


def _repeated(view: View, names: list[str]) -> list[str]:
    asked = [frozenset(view.tags(at)) for at in view.instants]
    rank = {tags: number for number, (tags, _) in enumerate(Counter(asked).most_common())}
    return [names[min(rank[tags], len(names) - 1)] for tags in asked]
