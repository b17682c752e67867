from __future__ import annotations

import doctest
import importlib
from dataclasses import replace

import numpy as np
import pytest

from attacks import report
from attacks.results import AttackResults
from attacks.rows import HIDDEN, SHOWN
from attacks.scores import Score, beyond_chance, correlation

pytestmark = pytest.mark.slow


def _as(score: Score, success: float) -> Score:
    return replace(score, hits=round(success * score.of))


def test_the_report_says_that_nothing_hidden_was_learned(of_deterministic: AttackResults) -> None:
    scores = {title: _as(score, score.chance) for title, score in of_deterministic.scores.items()}
    of = {
        "product": replace(of_deterministic, scores=scores),
        "deterministic": of_deterministic,
        "bins": of_deterministic,
    }
    text = report.written(of, 0.01, "1s", 48)
    assert f"no better than chance at any of {len(HIDDEN)} things that must stay hidden" in text
    assert "The same attacks succeeded on every control" in text
    assert '| the product, `cover = "1s"` | 48 | 0.01 |' in text
    assert all(f"| {row.title} |" in text for row in (*HIDDEN, *SHOWN))


def test_the_report_says_what_was_learned_and_by_which_attack(of_deterministic: AttackResults) -> None:
    text = report.written(dict.fromkeys(("product", "deterministic", "bins"), of_deterministic), None, "1s", 48)
    assert (
        f"learned, of {len(HIDDEN)} things that must stay hidden in the product: whether a count is of a place" in text
    )
    assert "learned (frequency)" in text
    assert "this build has no `cover`" in text


def test_the_report_says_which_control_failed(of_deterministic: AttackResults) -> None:
    weak = replace(
        of_deterministic, scores={title: _as(score, 0.5) for title, score in of_deterministic.scores.items()}
    )
    text = report.written({"product": weak, "deterministic": weak, "bins": of_deterministic}, None, "1s", 48)
    assert "Controls failed: deterministic hides" in text


def test_luck_is_distinguished_from_success() -> None:
    assert not beyond_chance(hits=0, of=10, chance=0.0)
    assert beyond_chance(hits=10, of=10, chance=0.3)
    assert not beyond_chance(hits=10, of=10, chance=1.0)


def test_a_constant_series_has_no_correlation() -> None:
    assert correlation(np.ones(4), np.arange(4)) == 0.0


@pytest.mark.parametrize("name", ["trace", "campus", "linking", "matching", "scores"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"attacks.{name}"))
    assert tried
    assert not failed
