"""The rows of the report: what is to be guessed, by which attacks, and how good a guess without the trace is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from attacks import bins, frequency, learning, order, pairs, volume
from attacks.questions import About
from attacks.recording import DEVICE_GROUPS, PLACE_GROUPS, Recording
from attacks.trace import DAY, HOUR
from attacks.view import Attack, AttackerView, Known

__all__ = ["HIDDEN", "SHOWN", "ReportRow"]

_BUSY = 100  # sessions in an hour; below, a cell is mostly padding
_AHEAD = 1.1
_NEAR = 3

Truths = dict[int, str]  # the truth, by the instant that is guessed about


@dataclass(frozen=True)
class ReportRow:
    """One thing to be guessed.

    Attributes:
        title: What it is, as shown in the report.
        truth: Returns the truth.
        priors: Guesses without a trace, by name.
        attacks: The attacks, by name.
        controls: The controls on which an attack must succeed.
        partners: Returns, for each question, the earlier one that it is to be compared with.
    """

    title: str
    truth: Callable[[Recording], Truths]
    priors: Mapping[str, Attack]
    attacks: Mapping[str, Attack]
    controls: tuple[str, ...]
    partners: Callable[[Recording], Mapping[int, int]] = lambda recording: {}


def _counted(recording: Recording) -> Truths:
    return {
        question.at: question.about.value for question in recording.truth.questions if question.about != About.DEVICE
    }


def _about_device(recording: Recording) -> Truths:
    return {question.at: str(question.about == About.DEVICE) for question in recording.truth.questions}


def _days(recording: Recording) -> Truths:
    return {
        question.at: str((question.start - recording.knowledge.first) // DAY) for question in recording.truth.questions
    }


def _keys(about: About) -> Callable[[Recording], Truths]:
    return lambda recording: {
        question.at: question.key for question in recording.truth.questions if question.about == about
    }


def _key_groups(about: About) -> Callable[[Recording], Truths]:
    return lambda recording: {at: str(recording.groups[key]) for at, key in _keys(about)(recording).items()}


def _busiest(recording: Recording) -> Truths:
    return _peaks(recording, recording.truth.place_hours, recording.knowledge.places)


def _busiest_groups(recording: Recording) -> Truths:
    groups = np.array([recording.groups[place] for place in recording.knowledge.places])
    counts = np.array([recording.truth.place_hours[groups == group].sum(axis=0) for group in range(PLACE_GROUPS)])
    return _peaks(recording, counts, [str(group) for group in range(PLACE_GROUPS)])


def _peaks(recording: Recording, counts: np.ndarray, names: list[str]) -> Truths:
    """The name with the highest count, for each busy hour of the second week with a clear winner."""
    first = recording.knowledge.first + 7 * DAY
    ordered = np.sort(counts, axis=0)
    clear = np.flatnonzero((counts.sum(axis=0) >= _BUSY) & (ordered[-1] >= _AHEAD * ordered[-2]))
    return {first + hour * HOUR: names[int(counts[:, hour].argmax())] for hour in clear.tolist()}


def _always(guess: Callable[[AttackerView, Known], str]) -> Attack:
    return lambda view, known: [guess(view, known)] * len(view.instants)


def _commonest(view: AttackerView, known: Known) -> str:
    return Counter(known.values()).most_common(1)[0][0]


def _place(view: AttackerView, known: Known) -> str:
    return frequency.popular(view.knowledge.places, view.knowledge.place_hours.sum(axis=1))[0]


def _device(view: AttackerView, known: Known) -> str:
    return frequency.popular(view.knowledge.devices, view.knowledge.device_days.sum(axis=1))[0]


def _same(about: About) -> Callable[[Recording], Truths]:
    return lambda recording: {at: str(same) for at, (_, same) in pairs.chosen(recording.truth.questions, about).items()}


def _partners(about: About) -> Callable[[Recording], Mapping[int, int]]:
    return lambda recording: {at: other for at, (other, _) in pairs.chosen(recording.truth.questions, about).items()}


def _last_week(view: AttackerView, known: Known) -> list[str]:
    """The place that was busiest at the same hour a week before."""
    public = view.knowledge
    hours = [(at - public.first) // HOUR % public.place_hours.shape[1] for at in view.instants]
    return [public.places[int(public.place_hours[:, hour].argmax())] for hour in hours]


def _last_week_groups(view: AttackerView, known: Known) -> list[str]:
    """The group of that place; where groups are secret, nothing."""
    return [str(view.groups.get(place, "")) for place in _last_week(view, known)]


def _calendar(view: AttackerView, known: Known) -> list[str]:
    """The most frequent answer in the known hours that are nearest in the day, and then in the week."""
    when = np.array([[at % DAY / HOUR, at / DAY / 10] for at in view.instants])
    at, labels = np.array(list(known)), list(known.values())

    def label(row: np.ndarray) -> str:
        near = np.argsort(np.abs(when[at] - row).sum(axis=1), kind="stable")[:_NEAR]
        return Counter(labels[number] for number in near).most_common(1)[0][0]

    return [label(row) for row in when]


_KNOWN: dict[str, Attack] = {
    "known shapes": learning.by_shape,
    "known tags": learning.by_tags,
    "known bins": learning.by_class,
}


def _same_row(about: About) -> ReportRow:
    return ReportRow(
        f"whether two questions are about the same {about.value}",
        _same(about),
        {"commonest": _always(_commonest)},
        {"same tags": pairs.by_token, "order of cells": pairs.by_bin, "known shapes": pairs.by_shape},
        ("deterministic",),
        _partners(about),
    )


# What must stay hidden.
HIDDEN = (
    ReportRow(
        "whether a count is of a place or of the building",
        _counted,
        {"commonest": _always(_commonest)},
        {**_KNOWN, "columns": frequency.place_or_device, "order of cells": bins.place_or_device},
        ("deterministic", "bins"),
    ),
    ReportRow(
        f"which group of places, of {PLACE_GROUPS}",
        _key_groups(About.PLACE),
        {"commonest": _always(_commonest)},
        {**_KNOWN, "frequency": frequency.groups},
        ("deterministic", "bins"),
    ),
    ReportRow(
        f"which group of devices, of {DEVICE_GROUPS}",
        _key_groups(About.DEVICE),
        {"commonest": _always(_commonest)},
        {**_KNOWN, "frequency": frequency.groups},
        ("deterministic", "bins"),
    ),
    ReportRow(
        "which place",
        _keys(About.PLACE),
        {"commonest": _always(_commonest), "most popular": _always(_place)},
        {
            **_KNOWN,
            "frequency": frequency.tokens,
            "repetition": frequency.repeated_places,
            "volume": volume.places,
            "order of cells": bins.places,
        },
        ("deterministic",),
    ),
    ReportRow(
        "which device",
        _keys(About.DEVICE),
        {"commonest": _always(_commonest), "most popular": _always(_device)},
        {
            **_KNOWN,
            "frequency": frequency.tokens,
            "repetition": frequency.repeated_devices,
            "volume": volume.devices,
        },
        ("deterministic",),
    ),
    _same_row(About.PLACE),
    _same_row(About.DEVICE),
    ReportRow(
        f"which group of places is busiest, of {PLACE_GROUPS}, each hour",
        _busiest_groups,
        {"last week": _last_week_groups, "calendar": _calendar},
        {
            "frequency": frequency.busiest_groups,
            "order of cells": bins.busiest_groups,
            "known arrivals": learning.by_arrival,
        },
        ("deterministic", "bins"),
    ),
    ReportRow(
        "which place is busiest, each hour",
        _busiest,
        {"last week": _last_week, "calendar": _calendar},
        {
            "frequency": frequency.busiest,
            "order of cells": bins.busiest,
            "known arrivals": learning.by_arrival,
        },
        ("deterministic",),
    ),
)

# What may be learned by design (`docs/LEAKAGE.md`).
SHOWN = (
    ReportRow(
        "whether a question is about a device or counts",
        _about_device,
        {"commonest": _always(_commonest)},
        {**_KNOWN, "columns": frequency.device_or_not, "order of cells": bins.device_or_not},
        ("deterministic", "bins"),
    ),
    ReportRow(
        "on which day of the fortnight its interval begins",
        _days,
        {"commonest": _always(_commonest)},
        {**_KNOWN, "order of ciphertexts": order.days},
        ("deterministic",),
    ),
)
