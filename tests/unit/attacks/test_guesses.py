"""Attacks one by one: a trace on which each must succeed, and one on which it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from attacks import bins, frequency, learning, pairs, volume
from attacks.campus import Knowledge
from attacks.linking import CLASSES, DEVICE_BINS, PLACE_BINS, linked
from attacks.matching import assigned
from attacks.questions import About, ScenarioQuestion
from attacks.recording import Recording
from attacks.trace import HOUR, CallTrace, TracedCall, TracedCell
from attacks.view import AttackerView, Evidence


def _view(*calls: TracedCall, instants: list[int] | None = None) -> AttackerView:
    places, devices = [f"place {n}" for n in range(4)], [f"device {n}" for n in range(3)]
    profile = np.outer(np.array([40, 30, 20, 10]), np.ones(168, np.int64))
    known = Knowledge(0, places, devices, profile, np.ones((3, 7), np.int64), np.arange(168))
    return AttackerView(Evidence(CallTrace(list(calls))), known, {}, instants or [])


def _questions(recording: Recording, about: About) -> list[ScenarioQuestion]:
    return [question for question in recording.truth.questions if question.about == about]


def _of(recording: Recording, questions: list[ScenarioQuestion]) -> AttackerView:
    instants = [question.at for question in questions]
    return AttackerView(Evidence(recording.trace), recording.knowledge, recording.groups, instants)


@pytest.mark.parametrize("about", [About.PLACE, About.DEVICE])
def test_tokens_are_identified_by_their_frequency(deterministic: Recording, about: About) -> None:
    questions = _questions(deterministic, about)
    assert frequency.tokens(_of(deterministic, questions), {}) == [question.key for question in questions]


def test_without_rows_no_token_is_identified(sealed: Recording) -> None:
    questions = _questions(sealed, About.PLACE)
    assert set(frequency.tokens(_of(sealed, questions), {})) == {""}


def test_the_most_requested_tags_are_guessed_to_be_the_most_popular_name() -> None:
    asked = [7, 8, 7, 9, 7, 8]
    view = _view(*(TracedCall(at, "Select", [tag]) for at, tag in enumerate(asked)), instants=list(range(6)))
    assert frequency.repeated_places(view, {}) == [f"place {number}" for number in (0, 1, 0, 2, 0, 1)]


def test_larger_answers_are_guessed_to_be_busier_places() -> None:
    calls = [TracedCall(at, "Select", [at], [TracedCell(at, length)]) for at, length in enumerate([40, 30, 20, 10])]
    assert volume.places(_view(*calls, instants=[0, 3]).of([0, 1, 2, 3], {}), {})[0] == "place 0"
    assert volume.places(_view(*calls).of([0, 1, 2, 3], {}), {})[-1] == "place 2"


def test_people_are_guessed_from_arrival_volume() -> None:
    came = [TracedCall(hour * HOUR, "Append", cells=[TracedCell(hour, 100 * (hour % 168))]) for hour in range(336)]
    assert np.corrcoef(volume.people(_view(*came)), np.arange(168))[0, 1] > 0.99


def test_with_cover_the_number_of_people_cannot_be_guessed() -> None:
    came = [TracedCall(hour * HOUR, "Append", cells=[TracedCell(hour, 4096)]) for hour in range(336)]
    assert np.ptp(volume.people(_view(*came))[:-1]) < 1e-6


def test_bins_follow_from_the_order_of_cells_even_where_some_are_missing() -> None:
    rng = np.random.default_rng(1)
    calls, bin_of = list[TracedCall](), dict[int, int]()
    for hour in range(40):
        tags = {12 * hour + each: each for each in range(CLASSES) if rng.random() < 0.9}
        bin_of |= tags
        calls.append(TracedCall(hour, "Append", cells=[TracedCell(tag, 500 + tag) for tag in tags]))
    links = linked(CallTrace(calls))
    right = [links[tag].argmax() == each for tag, each in bin_of.items()]
    assert np.mean(right) > 0.7, "chance is a twelfth"


def test_co_occurrence_resolves_what_order_leaves_open() -> None:
    calls = [
        TracedCall(hour, "Append", cells=[TracedCell(12 * hour + each, 500 + each) for each in range(12)])
        for hour in (0, 1)
    ]
    sparse = TracedCall(2, "Append", cells=[TracedCell(100, 501), TracedCell(101, 502)])
    asked = TracedCall(3, "Select", [5, 17, 100])
    assert linked(CallTrace([*calls, sparse, asked]))[100].argmax() == 5
    assert linked(CallTrace([*calls, sparse]))[100].argmax() != 5


def test_a_compactors_cells_are_in_the_order_of_bins() -> None:
    calls = [
        TracedCall(0, "Append", cells=[TracedCell(number, 4096) for number in range(DEVICE_BINS)]),
        TracedCall(1, "Append", cells=[TracedCell(100 + number, 2048) for number in range(PLACE_BINS)]),
    ]
    links = linked(CallTrace(calls))
    assert [int(links[tag].argmax()) for tag in (*range(8), *range(100, 104))] == list(range(CLASSES))


def test_cells_in_random_order_do_not_reveal_their_bins(sealed: Recording) -> None:
    questions = _questions(sealed, About.PLACE)
    guesses = bins.places(_of(sealed, questions), {})
    right = np.mean([guess == question.key for guess, question in zip(guesses, questions, strict=True)])
    assert right < 0.3


def test_a_size_that_gives_the_place_away_is_learned() -> None:
    calls = [TracedCall(at, "Select", [at], [TracedCell(at, 1_000 if at % 3 else 9_000)]) for at in range(40)]
    truth = {at: "canteen" if at % 3 else "library" for at in range(40)}
    known = {at: label for at, label in truth.items() if at < 20}
    guesses = learning.by_shape(_view(*calls, instants=list(range(40))), known)
    assert guesses[20:] == [truth[at] for at in range(20, 40)]


def test_tags_that_are_asked_for_again_are_learned() -> None:
    calls = [TracedCall(at, "Select", [at % 3, 100 + at]) for at in range(30)]
    known = {at: f"place {at % 3}" for at in range(15)}
    guesses = learning.by_tags(_view(*calls, instants=list(range(30))), known)
    assert guesses[15:] == [f"place {at % 3}" for at in range(15, 30)]


def test_pairs_are_equally_far_apart_in_time_whether_same_or_not(sealed: Recording) -> None:
    chosen = pairs.chosen(sealed.truth.questions, About.PLACE)
    gaps = {same: np.mean([at - other for at, (other, of) in chosen.items() if of == same]) for same in (True, False)}
    assert 0.7 < gaps[True] / gaps[False] < 1.4
    assert 0.3 < np.mean([same for _, same in chosen.values()]) < 0.7


def test_the_assignment_has_the_least_cost() -> None:
    rng = np.random.default_rng(3)
    secret = rng.permutation(30)
    costs = np.ones((30, 40)) + rng.random((30, 40))
    costs[np.arange(30), secret] = 0.5
    assert assigned(costs).tolist() == secret.tolist()
    with pytest.raises(ValueError, match="expected at least as many columns"):
        assigned(np.zeros((3, 2)))
