"""How many distinct subjects there were, from records and from roll-ups that stand for them."""

from __future__ import annotations

import numpy as np

from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.query import occupancy
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.search import Answer
from privacyplease.proxy.segments.hashes import ROLLUP_LABEL, lasting_key, subject_hashes
from privacyplease.proxy.segments.rollups import Count, united


def count(question: Question, answer: Answer, keyring: Keyring | None) -> Count:
    """Counts; the number is an estimate only if there were roll-ups and more than 65,536 subjects.

    Args:
        question: What was asked.
        answer: What answers it.
        keyring: Has the key of the hashes in roll-ups; None where there are no roll-ups.
    """
    others = occupancy.subjects(answer.hits)
    if keyring is None or not answer.rollups:
        return Count(0 if others is None else len(others))
    hashes = np.zeros(0, np.uint64)
    if others is not None:
        dataset = question.dataset
        key = lasting_key(dataset, keyring, ROLLUP_LABEL)
        hashes = subject_hashes(key, others, dataset.columns[dataset.subject])
    return united(answer.rollups, question.place_names, hashes)
