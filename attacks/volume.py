"""Volume attacks: how much arrives and is returned, regardless of its content.

Kellaris, Kollios, Nissim and O'Neill, Generic Attacks on Secure Outsourced Databases, CCS 2016; Grubbs, Lacharité,
Minaud and Paterson, Pump up the Volume, CCS 2018.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from attacks.frequency import popular
from attacks.trace import HOUR
from attacks.view import AttackerView, Evidence, Known

__all__ = ["arrivals", "devices", "people", "places"]

Floats = npt.NDArray[np.float64]


def places(view: AttackerView, known: Known) -> list[str]:
    """The larger an answer is, among answers with as many tags, the busier the place is guessed to be."""
    weights = view.knowledge.place_hours.sum(axis=1)
    return _by_size(view, popular(view.knowledge.places, weights), np.sort(weights)[::-1])


def devices(view: AttackerView, known: Known) -> list[str]:
    """Likewise for devices."""
    weights = view.knowledge.device_days.sum(axis=1)
    return _by_size(view, popular(view.knowledge.devices, weights), np.sort(weights)[::-1])


def arrivals(evidence: Evidence, first: int, hours: int) -> Floats:
    """Bytes that arrived in each hour from an instant on, or rows where rows are visible: float64[hours]."""
    volumes = np.zeros(hours)
    for call in evidence.arrivals:
        hour = (call.at - first) // HOUR
        if 0 <= hour < hours:
            volumes[hour] += len(call.rows) or call.length
    return volumes


def people(view: AttackerView) -> Floats:
    """How many devices were in the building in each hour of the second week: float64[168].

    As many as last week in an hour with the same volume, in that hour and the next: sessions are logged when they end.
    """
    known = view.knowledge.people
    volumes = arrivals(view.evidence, view.knowledge.first, 2 * len(known))
    features = np.column_stack([volumes, np.append(volumes[1:], 0.0), np.sqrt(volumes), np.ones(len(volumes))])
    weights, *_ = np.linalg.lstsq(features[: len(known)], known.astype(np.float64), rcond=None)
    return np.maximum(features[len(known) :] @ weights, 0.0)


def _by_size(view: AttackerView, names: list[str], weights: npt.NDArray[np.int64]) -> list[str]:
    sizes: dict[int, list[float]] = defaultdict(list)
    answers = [(len(view.tags(at)), _size(view, at)) for at in view.instants]
    for tags, size in answers:
        sizes[tags].append(size)
    shares = np.cumsum(weights) / weights.sum()
    above = [np.mean([other > size for other in sizes[tags]]) for tags, size in answers]
    return [names[min(int(np.searchsorted(shares, share)), len(names) - 1)] for share in above]


def _size(view: AttackerView, at: int) -> float:
    return float(sum(call.length or len(call.cells) for call in view.calls(at)))
