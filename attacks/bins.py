"""What linked tags reveal: which bin a question is about, which places are in a bin, and which bin is busy.

Bins are found from the order of cells and from what is asked for together (`linking`). The volume that arrives in each,
hour by hour, is then compared with what is known of each place: the volume of a bin is the sum of its places' volumes
(Cash, Grubbs, Perry and Ristenpart, Leakage-Abuse Attacks against Searchable Encryption, CCS 2015).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from attacks.frequency import popular
from attacks.linking import CLASSES, DEVICE_BINS, PLACE_BINS, asked_classes
from attacks.questions import About
from attacks.trace import HOUR
from attacks.view import AttackerView, Known

__all__ = ["busiest", "busiest_groups", "device_or_not", "place_or_device", "places"]

Floats = npt.NDArray[np.float64]


def place_or_device(view: AttackerView, known: Known) -> list[str]:
    """Whether a question is about a bin of places, a bin of devices, or all places."""
    links = view.evidence.links
    classes = [int(asked_classes(view.tags(at), links).argmax()) for at in view.instants]
    return [_about(class_).value for class_ in classes]


def device_or_not(view: AttackerView, known: Known) -> list[str]:
    """Whether a question is about a bin of devices."""
    return [str(about == About.DEVICE) for about in place_or_device(view, known)]


def places(view: AttackerView, known: Known) -> list[str]:
    """The most popular place of the bin that a question is about."""
    first = _most_popular(view)
    links = view.evidence.links
    classes = [int(asked_classes(view.tags(at), links)[DEVICE_BINS:CLASSES].argmax()) for at in view.instants]
    return [first.get(class_, "") for class_ in classes]


def busiest(view: AttackerView, known: Known) -> list[str]:
    """The most popular place of the bin with the largest volume in each hour."""
    first, volumes = _most_popular(view), _volumes(view)
    return [first.get(int(volumes[at // HOUR].argmax()), "") for at in view.instants]


def busiest_groups(view: AttackerView, known: Known) -> list[str]:
    """The bin with the largest volume in each hour, by the name that known hours give it."""
    volumes = _volumes(view)
    largest = [int(volumes[at // HOUR].argmax()) for at in view.instants]
    names: dict[int, Counter[str]] = defaultdict(Counter)
    for position, name in known.items():
        names[largest[position]][name] += 1
    return [names[bin_].most_common(1)[0][0] if bin_ in names else "" for bin_ in largest]


def _about(bin_: int) -> About:
    if bin_ == CLASSES:
        return About.BUILDING
    return About.DEVICE if bin_ < DEVICE_BINS else About.PLACE


def _volumes(view: AttackerView) -> Mapping[int, Floats]:
    """How many bytes arrived in each bin of places, by hour since 1970: float64[PLACE_BINS]."""
    links = view.evidence.links
    volumes: dict[int, Floats] = defaultdict(lambda: np.zeros(PLACE_BINS))
    for call in view.evidence.arrivals:
        for cell in call.cells:
            volumes[call.at // HOUR] += links[cell.tag][DEVICE_BINS:] * cell.length
    return volumes


def _most_popular(view: AttackerView) -> dict[int, str]:
    """The most popular place of each bin, as far as volumes reveal which places are in it."""
    public, volumes = view.knowledge, _volumes(view)
    hours = public.place_hours.shape[1]
    arrived = np.array([volumes[public.first // HOUR + hour] for hour in range(hours)])
    features = np.column_stack([public.place_hours.T, np.ones(hours)]).astype(np.float64)
    shares, *_ = np.linalg.lstsq(features, arrived, rcond=None)
    bin_of = dict(zip(public.places, shares[:-1].argmax(axis=1).tolist(), strict=True))
    ranked = popular(public.places, public.place_hours.sum(axis=1))
    return {bin_: next(place for place in ranked if bin_of[place] == bin_) for bin_ in set(bin_of.values())}
