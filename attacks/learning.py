"""Learning from known questions: what the trace shows of a question is compared with questions whose truth is known.

Islam, Kuzu and Kantarcioglu (NDSS 2012) and Cash, Grubbs, Perry and Ristenpart (CCS 2015) give the attacker some known
questions, too. Here it is half of them, so that these attacks find what no other attack looks for: a size, an order, a
page, a cell that is fetched again or not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable

import numpy as np
import numpy.typing as npt

from attacks.linking import asked_classes
from attacks.trace import HOUR, TracedCall
from attacks.view import AttackerView, Known

__all__ = ["by_arrival", "by_class", "by_shape", "by_tags", "nearest", "shape"]

_NEIGHBOURS = 7
_CALLS = 3  # how many calls of a question are looked at in detail

Floats = npt.NDArray[np.float64]


def by_shape(view: AttackerView, known: Known) -> list[str]:
    """The answer of most of the nearest known questions, by numbers of calls, tags, cells, pages, and lengths."""
    return nearest(np.array([shape(view, at) for at in view.instants]), known)


def by_tags(view: AttackerView, known: Known) -> list[str]:
    """The answer of known questions with the same tags, or cells at the same positions of their calls (naive Bayes)."""
    places = _positions(view)
    return _likeliest([[*view.tags(at), *_standing(view.tags(at), places)] for at in view.instants], known)


def by_class(view: AttackerView, known: Known) -> list[str]:
    """The answer of known questions that are linked to the same bin."""
    links = view.evidence.links
    return _likeliest([[int(asked_classes(view.tags(at), links).argmax())] for at in view.instants], known)


def by_arrival(view: AttackerView, known: Known) -> list[str]:
    """The answer of the known hours with the most similar arrivals."""
    calls: dict[int, list[TracedCall]] = defaultdict(list)
    for call in view.evidence.arrivals:
        calls[call.at // HOUR].append(call)
    return nearest(np.array([_arrived(calls[at // HOUR]) for at in view.instants]), known)


def shape(view: AttackerView, at: int) -> list[float]:
    """What a question looks like, apart from the tags themselves."""
    calls = view.calls(at)
    tags, cells = view.tags(at), [cell.length for call in calls for cell in call.cells]
    sizes = [value for call in (calls + [TracedCall(at, "")] * _CALLS)[:_CALLS] for value in _sizes(call)]
    stored = [tag for call in calls for tag in {cell.tag for cell in call.cells}]
    order = float(np.mean(np.diff(tags) > 0)) if len(tags) > 1 else 0.5
    return [len(calls), len(tags), len(cells), np.log1p(sum(cells)), len(tags) - len(stored), order, *sizes]


def _sizes(call: TracedCall) -> list[float]:
    lengths = [cell.length for cell in call.cells] or [0]
    return [len(call.tags), len(call.pages), np.log1p(sum(lengths)), np.log1p(max(lengths)), np.log1p(min(lengths))]


def _arrived(calls: Iterable[TracedCall]) -> list[float]:
    """What the arrivals of an hour look like."""
    lengths = [cell.length for call in calls for cell in call.cells]
    ends = [*lengths[:4], *[0] * (4 - len(lengths[:4])), *lengths[-4:], *[0] * (4 - len(lengths[-4:]))]
    return [len(lengths), np.log1p(sum(lengths)), np.log1p(max(lengths, default=0)), *np.log1p(ends).tolist()]


def _positions(view: AttackerView) -> dict[int, tuple[int, int, int]]:
    """The position of each tag's cell in the call that first sent it: from the front, from the back, and by length."""
    positions: dict[int, tuple[int, int, int]] = {}
    for call in view.evidence.trace.named("Append"):
        lengths = sorted(cell.length for cell in call.cells)
        for at, cell in enumerate(call.cells):
            positions.setdefault(cell.tag, (at, len(call.cells) - at, lengths.index(cell.length)))
    return positions


def _standing(tags: list[int], positions: dict[int, tuple[int, int, int]]) -> list[Hashable]:
    known = [positions[tag] for tag in tags if tag in positions]
    return [
        (kind, value) for position in known for kind, value in zip(("front", "back", "length"), position, strict=True)
    ]


def nearest(features: Floats, known: Known) -> list[str]:
    """The label of most of the nearest known rows, for each row of float64[n, k]."""
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    at, labels = np.array(list(known)), list(known.values())
    overall = Counter(labels)

    def label(row: Floats) -> str:
        near = np.argsort(((scaled[at] - row) ** 2).sum(axis=1), kind="stable")[:_NEIGHBOURS]
        votes = Counter(labels[number] for number in near)
        return max(votes, key=lambda name: (votes[name], overall[name]))

    return [label(row) for row in scaled]


def _likeliest(features: list[list[Hashable]], known: Known) -> list[str]:
    """The most likely label of each question given its features, if features are independent."""
    labels = Counter(known.values())
    seen: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for at, label in known.items():
        for feature in set(features[at]):
            seen[feature][label] += 1

    def weight(of: Iterable[Hashable]) -> Callable[[str], float]:
        present = [seen[feature] for feature in set(of) if feature in seen]
        return lambda label: (
            np.log(labels[label])
            + sum(np.log((counts[label] + 0.05) / (labels[label] + 0.05 * len(labels))) for counts in present)
        )

    return [max(labels, key=weight(row)) for row in features]
