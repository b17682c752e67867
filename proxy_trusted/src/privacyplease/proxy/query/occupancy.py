"""Counting people: distinct subjects of the records that answer a question, as functions over hits.

Each function consumes the hits of a search and keeps no more of a hit than the count needs. A record that was reported
twice, or in a shorter and a longer form, counts its subject once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.timeline import Steps
from privacyplease.proxy.segments.pages import Int64Array


def subjects(hits: Iterable[Hit]) -> pa.Array | None:
    """The distinct subjects of the hits; None for no hits."""
    arrays = [hit.subjects for hit in hits]
    return pc.unique(pa.concat_arrays(arrays)) if arrays else None


def count(hits: Iterable[Hit]) -> int:
    """How many distinct subjects the hits have."""
    distinct = subjects(hits)
    return 0 if distinct is None else len(distinct)


def count_by_place(hits: Iterable[Hit], groups: Mapping[str, str] | None = None) -> tuple[list[str], list[int]]:
    """Places with at least one subject and their distinct subjects, descending by count, then ascending by name.

    Args:
        hits: The records.
        groups: Maps each place that is counted as part of a group to its group.
    """
    group_of, numbers, pairs = groups or {}, dict[str, int](), list[tuple[Int64Array, Int64Array, pa.Array]]()
    for hit in hits:
        places = [numbers.setdefault(group_of.get(place, place), len(numbers)) for place in hit.core.places]
        where = np.array(places, np.int64)[hit.core.codes[hit.rows]]
        distinct = np.unique(where * len(hit.core.subjects) + hit.owners)
        pairs.append((*np.divmod(distinct, len(hit.core.subjects)), hit.core.subjects))
    who, total = _numbered([(owners, subjects) for _, owners, subjects in pairs])
    combined = [where * total + subject for (where, _, _), subject in zip(pairs, who, strict=True)]
    distinct = np.unique(np.concatenate(combined)) if combined else np.zeros(0, np.int64)
    counts = np.bincount(distinct // max(total, 1), minlength=len(numbers)).tolist()
    return ranked([(place, counts[number]) for place, number in numbers.items() if counts[number]])


def ranked(counted: Sequence[tuple[str, int]]) -> tuple[list[str], list[int]]:
    """Places and counts, descending by count, then ascending by name."""
    rows = sorted(counted, key=lambda row: (-row[1], row[0]))
    return [place for place, _ in rows], [number for _, number in rows]


def series(hits: Iterable[Hit], steps: Steps) -> Int64Array:
    """Distinct subjects in each step: int64[steps.number].

    It is O(n log n) however many steps a record spans: records become ranges of steps, a subject's ranges are merged
    where they overlap, and each merged range adds one at its first step and subtracts it after its last.
    """
    stride = steps.number + 1
    spanned = [_spanned(hit, steps) for hit in hits]
    who, _ = _numbered([(owners, subjects) for owners, _, _, subjects in spanned])
    if not spanned:
        return np.zeros(steps.number, np.int64)
    first = np.concatenate([subject * stride + begins for subject, (_, begins, _, _) in zip(who, spanned, strict=True)])
    last = np.concatenate([subject * stride + ends for subject, (_, _, ends, _) in zip(who, spanned, strict=True)])
    begin, end = _merged(first, last)
    change = np.bincount(begin % stride, minlength=stride)
    change -= np.bincount(end % stride + 1, minlength=stride)
    return np.cumsum(change)[: steps.number]


def _spanned(hit: Hit, steps: Steps) -> tuple[Int64Array, Int64Array, Int64Array, pa.Array]:
    """The distinct (subject's number, first step, last step) of the records, as three arrays; and the subjects."""
    owners, first, last = hit.owners, steps.step_of(hit.starts), steps.step_of(hit.ends)
    same = (
        (np.diff(owners) == 0) & (np.diff(first) == 0) & (np.diff(last) == 0)
    )  # records are sorted by subject and start
    kept = np.append(True, ~same)[: len(owners)]
    return owners[kept], first[kept], last[kept], hit.core.subjects


def _numbered(parts: Sequence[tuple[Int64Array, pa.Array]]) -> tuple[list[Int64Array], int]:
    """Numbers of subjects within their segments as numbers over all segments, and how many distinct ones there are."""
    if not parts:
        return [], 0
    encoded = pa.concat_arrays([subjects for _, subjects in parts]).dictionary_encode()
    overall = encoded.indices.to_numpy().astype(np.int64)
    begins = np.cumsum([0, *(len(subjects) for _, subjects in parts)])[:-1].tolist()
    numbers = [overall[begin + owners] for begin, (owners, _) in zip(begins, parts, strict=True)]
    return numbers, len(encoded.dictionary)


def _merged(begin: Int64Array, end: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The union of closed ranges of integers, as disjoint ranges."""
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(end[order])
    opens = np.ones(len(begin), bool)
    opens[1:] = begin[1:] > reach[:-1]
    closes = np.append(opens[1:], True)
    return begin[opens], reach[closes]
