"""Counting people: distinct subjects of the records that answer a question, as functions over hits.

Each takes the hits that a search gives and keeps no more of a hit than the count needs. A record that was reported
twice, or in a shorter and a longer form, counts its subject once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.timeline import Steps

Numbers = npt.NDArray[np.int64]


def subjects(hits: Iterable[Hit]) -> pa.Array | None:
    """The distinct subjects of the hits; None for no hits."""
    found = [hit.subjects for hit in hits]
    return pc.unique(pa.concat_arrays(found)) if found else None


def count(hits: Iterable[Hit]) -> int:
    """How many distinct subjects the hits have."""
    found = subjects(hits)
    return 0 if found is None else len(found)


def count_by_place(hits: Iterable[Hit], groups: Mapping[str, str] | None = None) -> tuple[list[str], list[int]]:
    """Places with at least one subject and their distinct subjects, descending by count, then ascending by name.

    Args:
        hits: The records.
        groups: The group of each place that is counted as part of one.
    """
    named, numbers, pairs = groups or {}, dict[str, int](), list[tuple[Numbers, Numbers, pa.Array]]()
    for hit in hits:
        places = [numbers.setdefault(named.get(place, place), len(numbers)) for place in hit.core.places]
        where = np.array(places, np.int64)[hit.core.codes[hit.rows]]
        distinct = np.unique(where * len(hit.core.subjects) + hit.owners)
        pairs.append((*np.divmod(distinct, len(hit.core.subjects)), hit.core.subjects))
    who, known = _numbered([(owners, subjects) for _, owners, subjects in pairs])
    together = [where * known + each for (where, _, _), each in zip(pairs, who, strict=True)]
    distinct = np.unique(np.concatenate(together)) if together else np.zeros(0, np.int64)
    counts = np.bincount(distinct // max(known, 1), minlength=len(numbers)).tolist()
    return ranked([(place, counts[number]) for place, number in numbers.items() if counts[number]])


def ranked(counted: Sequence[tuple[str, int]]) -> tuple[list[str], list[int]]:
    """Places and counts, descending by count, then ascending by name."""
    rows = sorted(counted, key=lambda row: (-row[1], row[0]))
    return [place for place, _ in rows], [number for _, number in rows]


def series(hits: Iterable[Hit], steps: Steps) -> Numbers:
    """Distinct subjects in each step: int64[steps.number].

    Takes O(n log n) whatever the number of steps that a record spans: records become ranges of steps, a subject's
    ranges are merged where they touch, and what is left adds one at its first step and takes it away after its last.
    """
    wide = steps.number + 1
    spanned = [_spanned(hit, steps) for hit in hits]
    who, _ = _numbered([(owners, subjects) for owners, _, _, subjects in spanned])
    if not spanned:
        return np.zeros(steps.number, np.int64)
    first = np.concatenate([each * wide + begins for each, (_, begins, _, _) in zip(who, spanned, strict=True)])
    last = np.concatenate([each * wide + ends for each, (_, _, ends, _) in zip(who, spanned, strict=True)])
    begin, end = _merged(first, last)
    change = np.bincount(begin % wide, minlength=wide)
    change -= np.bincount(end % wide + 1, minlength=wide)
    return np.cumsum(change)[: steps.number]


def _spanned(hit: Hit, steps: Steps) -> tuple[Numbers, Numbers, Numbers, pa.Array]:
    """Subject, by its number in the segment, first and last step of each record, each once; and the subjects."""
    owners, first, last = hit.owners, steps.step_of(hit.starts), steps.step_of(hit.ends)
    same = (np.diff(owners) == 0) & (np.diff(first) == 0) & (np.diff(last) == 0)  # they lie sorted by who and when
    kept = np.append(True, ~same)[: len(owners)]
    return owners[kept], first[kept], last[kept], hit.core.subjects


def _numbered(parts: Sequence[tuple[Numbers, pa.Array]]) -> tuple[list[Numbers], int]:
    """Numbers of subjects in their segments as numbers that mean the same everywhere, and how many there are."""
    if not parts:
        return [], 0
    encoded = pa.concat_arrays([subjects for _, subjects in parts]).dictionary_encode()
    everywhere = encoded.indices.to_numpy().astype(np.int64)
    begins = np.cumsum([0, *(len(subjects) for _, subjects in parts)])[:-1].tolist()
    return [everywhere[begin + owners] for begin, (owners, _) in zip(begins, parts, strict=True)], len(
        encoded.dictionary
    )


def _merged(begin: Numbers, end: Numbers) -> tuple[Numbers, Numbers]:
    """The union of closed ranges of whole numbers as disjoint ranges."""
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(end[order])
    opens = np.ones(len(begin), bool)
    opens[1:] = begin[1:] > reach[:-1]
    closes = np.append(opens[1:], True)
    return begin[opens], reach[closes]
