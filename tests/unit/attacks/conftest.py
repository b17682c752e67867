from __future__ import annotations

import pytest

from attacks.campus import Fortnight, GroundTruth
from attacks.deterministic import Deterministic
from attacks.recording import Recording, groups
from attacks.results import AttackResults, attacked
from attacks.scenario import happen
from tests.unit.attacks.sealed import SealedStore

SEED = 5
QUESTIONS = 240


@pytest.fixture(scope="session")
def fortnight() -> Fortnight:
    """A small campus."""
    return Fortnight.simulated(110, 24, SEED)


@pytest.fixture(scope="session")
def truth(fortnight: Fortnight) -> GroundTruth:
    return fortnight.truth(QUESTIONS)


@pytest.fixture(scope="session")
def deterministic(fortnight: Fortnight, truth: GroundTruth) -> Recording:
    """The control store: attacks must succeed."""
    store = Deterministic(SEED)
    happen(store, fortnight, truth.questions, store.clock)
    return Recording(store.trace(), fortnight.knowledge, truth, groups(fortnight.knowledge), groups_known=True)


@pytest.fixture(scope="session")
def sealed(fortnight: Fortnight, truth: GroundTruth) -> Recording:
    """A store that shows only time and volume: attacks cannot succeed."""
    store = SealedStore(SEED)
    happen(store, fortnight, truth.questions, store.clock)
    return Recording(store.trace(), fortnight.knowledge, truth, groups(fortnight.knowledge), groups_known=True)


@pytest.fixture(scope="session")
def of_deterministic(deterministic: Recording) -> AttackResults:
    return attacked(deterministic)


@pytest.fixture(scope="session")
def of_sealed(sealed: Recording) -> AttackResults:
    return attacked(sealed)
