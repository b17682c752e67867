"""How many distinct subjects there were, from records and from roll-ups that stand in for records."""

from __future__ import annotations

import numpy as np

from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.query import occupancy
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import SearchResult
from privacyplease.proxy.segments.hashes import ROLLUP_LABEL, lasting_key, subject_hashes
from privacyplease.proxy.segments.rollups import Count, count_distinct


def count(question: Question, result: SearchResult, keyring: Keyring | None) -> Count:
    """Counts distinct subjects. The number is an estimate only if roll-ups were used and there are more than 65,536.

    Args:
        question: What was asked.
        result: What the search returned.
        keyring: Has the key of the hashes in roll-ups; None where there are no roll-ups.
    """
    others = occupancy.subjects(result.hits)
    if keyring is None or not result.rollups:
        return Count(0 if others is None else len(others))
    hashes = np.zeros(0, np.uint64)
    if others is not None:
        dataset = question.dataset
        key = lasting_key(dataset, keyring, ROLLUP_LABEL)
        hashes = subject_hashes(key, others, dataset.columns[dataset.subject])
    return count_distinct(result.rollups, question.place_names, hashes)
