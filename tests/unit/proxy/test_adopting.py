"""Which cells are those that the ledger knows is found by their hash, whatever order they were sealed in."""

from random import Random

import numpy as np
import pytest

from privacyplease.proxy import sethash
from privacyplease.proxy.adopting import OUT_OF_ORDER, known_among
from privacyplease.proxy.sethash import Numbers

SEEDS = range(20)


def cells(count: int, random: Random) -> Numbers:
    values = [[1, *(random.randrange(1 << 32) for _ in range(4))] for _ in range(count)]
    return np.array(values, np.int64).reshape(count, sethash.WIDTH)


def total(members: Numbers) -> Numbers:
    return sethash.sums(members, np.zeros(len(members), np.int64), 1)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_earlier_cells_are_told_from_later_ones(seed: int) -> None:
    random = Random(seed)
    known, later = random.randrange(60), random.randrange(60)
    members = cells(known + later, random)
    sealed = np.array([random.randrange(100) for _ in range(known)] + [100 + random.randrange(9) for _ in range(later)])
    found = known_among(members, sealed, total(members[:known]))
    assert found is not None
    assert found.tolist() == [True] * known + [False] * later


@pytest.mark.parametrize("seed", SEEDS)
def test_also_where_they_were_sealed_in_another_order_than_sent(seed: int) -> None:
    random = Random(seed)
    known, later = 40 + random.randrange(60), 20 + random.randrange(60)
    members, sealed = cells(known + later, random), np.arange(known + later)
    doubtful = list(range(known - OUT_OF_ORDER // 2, known + OUT_OF_ORDER // 2))
    shuffled = random.sample(doubtful, len(doubtful))
    sealed[doubtful] = shuffled
    found = known_among(members, sealed, total(members[:known]))
    assert found is not None
    assert found.tolist() == [True] * known + [False] * later


@pytest.mark.parametrize("seed", SEEDS)
def test_a_known_cell_that_is_withheld_is_missed_however_many_came_later(seed: int) -> None:
    random = Random(seed)
    known = 1 + random.randrange(60)
    members = cells(known + 30, random)
    left = np.delete(np.arange(len(members)), random.randrange(known))
    assert known_among(members[left], left, total(members[:known])) is None


def test_nothing_known_and_nothing_there() -> None:
    nothing = cells(0, Random())
    found = known_among(nothing, np.zeros(0, np.int64), total(nothing))
    assert found is not None
    assert found.tolist() == []
