"""All attacks together, on stores where they must succeed and where they cannot."""

from __future__ import annotations

import pytest

from attacks import runs
from attacks.results import MUST, AttackResults, failures
from attacks.rows import HIDDEN, ReportRow
from attacks.scores import score
from attacks.view import AttackerView, Evidence

pytestmark = pytest.mark.slow


def test_the_deterministic_store_reveals_everything(of_deterministic: AttackResults) -> None:
    assert failures("deterministic", of_deterministic) == []
    assert of_deterministic.people.r > 0.999
    assert of_deterministic.volume == pytest.approx(1.0)
    assert failures("product", of_deterministic), "the same results would fail a product"


def test_a_store_that_shows_only_time_and_volume_reveals_nothing_hidden(of_sealed: AttackResults) -> None:
    assert failures("product", of_sealed) == []


def test_a_store_that_shows_only_time_and_volume_reveals_arrival_volume(of_sealed: AttackResults) -> None:
    assert of_sealed.volume > 0.9
    assert of_sealed.people.r > 0.9


def test_a_control_on_which_an_attack_fails_is_reported(of_sealed: AttackResults) -> None:
    assert len(failures("deterministic", of_sealed)) > len(HIDDEN) / 2


@pytest.mark.parametrize("row", HIDDEN[:3], ids=lambda row: row.title)
def test_the_bins_of_the_recorded_control_are_distinguished(row: ReportRow) -> None:
    recording = runs.bins()
    truth = row.truth(recording)
    found = score(row, AttackerView(Evidence(recording.trace), recording.knowledge, {}, sorted(truth)), truth)
    assert found.success >= MUST
    assert found.learned
