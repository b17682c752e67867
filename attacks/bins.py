"""What linked tags tell: which bin a question is about, which places lie in a bin, and which bin is busy.

Bins are found from the order of cells and from what is asked for together (`linking`). How much each takes in, hour by
hour, is then compared with what is known of each place: the volume of a bin is the sum of its places' volumes (Cash,
Grubbs, Perry and Ristenpart, Leakage-Abuse Attacks against Searchable Encryption, CCS 2015).
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
    return [_about(each).value for each in classes]


def device_or_not(view: AttackerView, known: Known) -> list[str]:
    """Whether a question is about a bin of devices."""
    return [str(each == About.DEVICE) for each in place_or_device(view, known)]


def places(view: AttackerView, known: Known) -> list[str]:
    """The most popular place of the bin that a question is about."""
    first = _foremost(view)
    links = view.evidence.links
    classes = [int(asked_classes(view.tags(at), links)[DEVICE_BINS:CLASSES].argmax()) for at in view.instants]
    return [first.get(each, "") for each in classes]


def busiest(view: AttackerView, known: Known) -> list[str]:
    """The most popular place of the bin that most came in to in each hour."""
    first, volumes = _foremost(view), _volumes(view)
    return [first.get(int(volumes[at // HOUR].argmax()), "") for at in view.instants]


def busiest_groups(view: AttackerView, known: Known) -> list[str]:
    """The bin that most came in to in each hour, by the name that known hours give it."""
    volumes = _volumes(view)
    found = [int(volumes[at // HOUR].argmax()) for at in view.instants]
    names: dict[int, Counter[str]] = defaultdict(Counter)
    for at, name in known.items():
        names[found[at]][name] += 1
    return [names[each].most_common(1)[0][0] if each in names else "" for each in found]


def _about(bin_: int) -> About:
    if bin_ == CLASSES:
        return About.BUILDING
    return About.DEVICE if bin_ < DEVICE_BINS else About.PLACE


def _volumes(view: AttackerView) -> Mapping[int, Floats]:
    """How many bytes came in to each bin of places, by hour since 1970: float64[PLACE_BINS]."""
    links = view.evidence.links
    found: dict[int, Floats] = defaultdict(lambda: np.zeros(PLACE_BINS))
    for call in view.evidence.arrivals:
        for cell in call.cells:
            found[call.at // HOUR] += links[cell.tag][DEVICE_BINS:] * cell.length
    return found


def _foremost(view: AttackerView) -> dict[int, str]:
    """The most popular place of each bin, as far as volumes tell which places those are."""
    public, volumes = view.knowledge, _volumes(view)
    hours = public.place_hours.shape[1]
    came = np.array([volumes[public.first // HOUR + hour] for hour in range(hours)])
    features = np.column_stack([public.place_hours.T, np.ones(hours)]).astype(np.float64)
    shares, *_ = np.linalg.lstsq(features, came, rcond=None)
    of = dict(zip(public.places, shares[:-1].argmax(axis=1).tolist(), strict=True))
    ranked = popular(public.places, public.place_hours.sum(axis=1))
    return {bin_: next(place for place in ranked if of[place] == bin_) for bin_ in set(of.values())}
