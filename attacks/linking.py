"""Linking: which tags belong to one bin of places or devices.

If the cells of a call come in the order (index, bucket, bin), their order reveals the bins, except that a bin may have
no cell. Tags that are asked for together are of one bin (co-occurrence: Islam, Kuzu and Kantarcioglu, NDSS 2012).
Neither is enough by itself, so beliefs about tags are passed between the calls that name them (belief propagation):
each call is a hidden Markov model over the bins of its cells, each question a choice between one bin and all bins of
places.

>>> cells = [[TracedCell(12 * hour + bin, 99) for bin in range(12)] for hour in range(3)]
>>> calls = [TracedCall(hour, "Append", cells=cells[hour]) for hour in range(3)]
>>> int(linked(CallTrace(calls))[17].argmax())      # the sixth cell of the second call
5
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attacks.trace import CallTrace, TracedCall, TracedCell

__all__ = ["CLASSES", "DEVICE_BINS", "PLACE_BINS", "Links", "TracedCall", "TracedCell", "linked", "questions"]

# From the definition of `wifi` at the time of the recorded control, which is public.
DEVICE_BINS, PLACE_BINS = 8, 4
CLASSES = DEVICE_BINS + PLACE_BINS  # bins of devices, then bins of places

_EMPTY = 0.15  # how likely a bin of a bucket has no cell
_MOST_BUCKETS = 6  # of one call
_ROUNDS = 4
_LEAST = 1e-9

Floats = npt.NDArray[np.float64]
Links = dict[int, Floats]  # for each tag, how likely it is in each bin: float64[CLASSES]
Message = Callable[[Floats], Floats]  # from what others say about tags to what a call says: float64[tags, CLASSES]


def linked(trace: CallTrace) -> Links:
    """How likely each tag is in each bin: float64[CLASSES], of sum 1."""
    factors = [*_orders(trace), *_together(trace)]
    belief: dict[int, Floats] = defaultdict(lambda: np.zeros(CLASSES))
    said: list[Floats] = [np.zeros((len(tags), CLASSES)) for tags, _ in factors]
    for _ in range(_ROUNDS):
        for number, (tags, message) in enumerate(factors):
            heard = np.array([belief[tag] for tag in tags]) - said[number]
            sent = np.log(np.maximum(message(_likely(heard)), _LEAST))
            for tag, change in zip(tags, sent - said[number], strict=True):
                belief[tag] = belief[tag] + change
            said[number] = sent
    return {tag: _likely(value[None])[0] for tag, value in belief.items()}


def questions(trace: CallTrace) -> Iterator[list[TracedCall]]:
    """The calls of each instant at which cells were read and nothing was changed."""
    instants: dict[int, list[TracedCall]] = defaultdict(list)
    for call in trace.calls:
        instants[call.at].append(call)
    for calls in instants.values():
        names = {call.name for call in calls}
        if "Select" in names and names.isdisjoint(("Append", "Delete", "Replace")):
            yield calls


def asked_classes(tags: list[int], links: Links) -> Floats:
    """How likely a question is about each bin, or about all places: float64[CLASSES + 1], of sum 1."""
    known = np.array([links.get(tag, np.full(CLASSES, 1 / CLASSES)) for tag in tags]).reshape(-1, CLASSES)
    one = np.log(np.maximum(known, _LEAST)).sum(axis=0) - np.log(CLASSES)
    places = np.maximum(known[:, DEVICE_BINS:].sum(axis=1), _LEAST)
    all_ = np.log(places).sum() - len(tags) * np.log(PLACE_BINS) if len(tags) % PLACE_BINS == 0 else -np.inf
    return _likely(np.append(one, all_)[None])[0]


def _orders(trace: CallTrace) -> Iterator[tuple[list[int], Message]]:
    for call in trace.named("Append"):
        if not call.cells:
            continue
        bins = _compacted(call)
        tags = [cell.tag for cell in call.cells]
        yield tags, _chain if bins is None else _certain(bins)


def _together(trace: CallTrace) -> Iterator[tuple[list[int], Message]]:
    for calls in questions(trace):
        tags = list(dict.fromkeys(tag for call in calls for tag in call.tags))
        if len(tags) > 1:
            yield tags, _mixture


def _compacted(call: TracedCall) -> list[int] | None:
    """The bin of each cell if a compactor wrote them: as many cells of one length as an index has bins."""
    blocks = [len(list(block)) for _, block in groupby(call.cells, key=lambda cell: cell.length)]
    for bins, first in ((DEVICE_BINS, 0), (PLACE_BINS, DEVICE_BINS)):
        if set(blocks) == {bins}:
            return [first + at % bins for at in range(len(call.cells))]
    return None


def _certain(bins: list[int]) -> Message:
    return lambda _: np.eye(CLASSES)[bins]


def _mixture(heard: Floats) -> Floats:
    """What a question says about each of its tags: all are of one bin, or they are those of all places."""
    logs = np.log(np.maximum(heard, _LEAST))
    others = logs.sum(axis=0) - logs
    one = np.exp(others - logs.sum(axis=0).max())
    tags = len(heard)
    places = heard[:, DEVICE_BINS:].sum(axis=1)
    together = np.exp(logs.sum(axis=0)).sum() / CLASSES
    apart = np.prod(places / PLACE_BINS) if tags % PLACE_BINS == 0 else 0.0
    weight = apart / max(apart + together, 1e-300)
    all_ = np.concatenate([np.zeros(DEVICE_BINS), np.full(PLACE_BINS, 1 / PLACE_BINS)])
    return (1 - weight) * _shares(one) + weight * all_


def _chain(heard: Floats) -> Floats:
    """What the order of a call says about each of its cells.

    The call has the same buckets twice, once for devices and once for places; their number is not known.
    """
    messages, weights = zip(*(_passed(heard, model) for model in _MODELS), strict=True)
    shares = np.exp(np.array(weights) - max(weights))
    return _shares(sum(share * message for share, message in zip(shares, messages, strict=True)))


def _passed(heard: Floats, model: _Model) -> tuple[Floats, float]:
    """Forward and backward over a hidden Markov model; also returns the log-likelihood of the call under it."""
    seen, steps = heard[:, model.classes], len(heard)
    ahead, behind = np.zeros(seen.shape), np.zeros(seen.shape)
    ahead[0], behind[-1], weight = model.first, model.last, 0.0
    for step in range(1, steps):
        reached = (ahead[step - 1] * seen[step - 1]) @ model.following
        weight += np.log(max(reached.sum(), 1e-300))
        ahead[step] = _shares(reached)
    for step in range(steps - 2, -1, -1):
        behind[step] = _shares(model.following @ (behind[step + 1] * seen[step + 1]))
    weight += np.log(max(float((ahead[-1] * seen[-1] * model.last).sum()), 1e-300))
    said = np.zeros((steps, CLASSES))
    np.add.at(said.T, model.classes, (ahead * behind).T)
    return _shares(said), weight


class _Model(NamedTuple):
    """How likely the first cell, the next one and the last one are in each state: a bin of a bucket of an index.

    Attributes:
        classes: int64[states], the class of each.
        first: float64[states].
        following: float64[states, states], from each to each.
        last: float64[states].
    """

    classes: npt.NDArray[np.int64]
    first: Floats
    following: Floats
    last: Floats


def _model(buckets: int) -> _Model:
    """The model of a call with cells of this many buckets."""
    groups = [bins for bins in (DEVICE_BINS, PLACE_BINS) for _ in range(buckets)]
    group = np.repeat(np.arange(len(groups)), groups)
    bin_ = np.concatenate([np.arange(bins) for bins in groups])
    entry = _EMPTY**bin_ * (1 - _EMPTY)
    left = _EMPTY ** (np.array(groups)[group] - 1.0 - bin_)
    gap = bin_[None, :] - bin_[:, None]
    same, next_ = (group[None, :] - group[:, None] == step for step in (0, 1))
    further = np.where(same & (gap > 0), _EMPTY ** (np.maximum(gap, 1) - 1.0) * (1 - _EMPTY), 0.0)
    onward = np.where(next_, left[:, None] * entry[None, :], 0.0)
    first, last = np.where(group == 0, entry, 0.0), np.where(group == len(groups) - 1, left, 0.0)
    return _Model(bin_ + np.where(group < buckets, 0, DEVICE_BINS), first, further + onward, last)


def _shares(values: Floats) -> Floats:
    return values / np.maximum(values.sum(axis=-1, keepdims=True), 1e-300)


def _likely(logs: Floats) -> Floats:
    return _shares(np.exp(logs - logs.max(axis=1, keepdims=True)))


_MODELS = [_model(buckets) for buckets in range(1, _MOST_BUCKETS + 1)]
