"""The whole of the attacks, where they must succeed and where they cannot."""

from __future__ import annotations

import pytest

from attacks import runs
from attacks.results import MUST, Results, failures
from attacks.rows import HIDDEN, Row
from attacks.scores import score
from attacks.view import Evidence, View

pytestmark = pytest.mark.slow


def test_everything_is_guessed_of_the_old_recipe(of_deterministic: Results) -> None:
    assert failures("deterministic", of_deterministic) == []
    assert of_deterministic.people.r > 0.999
    assert of_deterministic.volume == pytest.approx(1.0)
    assert failures("product", of_deterministic), "the same results would fail a product"


def test_of_a_store_that_shows_time_and_volume_alone_nothing_hidden_is_guessed(of_sealed: Results) -> None:
    assert failures("product", of_sealed) == []


def test_of_such_a_store_how_much_came_is_learned(of_sealed: Results) -> None:
    assert of_sealed.volume > 0.9
    assert of_sealed.people.r > 0.9


def test_a_control_on_which_an_attack_fails_is_reported(of_sealed: Results) -> None:
    assert len(failures("deterministic", of_sealed)) > len(HIDDEN) / 2


@pytest.mark.parametrize("row", HIDDEN[:3], ids=lambda row: row.title)
def test_the_recorded_bins_are_told_apart(row: Row) -> None:
    recording = runs.bins()
    truth = row.truth(recording)
    found = score(row, View(Evidence(recording.trace), recording.knowledge, {}, sorted(truth)), truth)
    assert found.success >= MUST
    assert found.learned
