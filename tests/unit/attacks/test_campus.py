from __future__ import annotations

import numpy as np

from attacks.campus import Fortnight, GroundTruth, present
from attacks.questions import About
from attacks.recording import Recording, groups
from attacks.trace import DAY, HOUR


def test_every_session_is_logged_once_in_the_hour_in_which_it_ends(fortnight: Fortnight) -> None:
    assert sum(fortnight.logged(hour).num_rows for hour in range(336)) == fortnight.table.num_rows
    assert fortnight.logged(36).num_rows == fortnight.knowledge.place_hours[:, 36].sum()


def test_the_second_week_is_not_the_first(fortnight: Fortnight, truth: GroundTruth) -> None:
    days = truth.people.reshape(7, 24).max(axis=1)
    assert days[2] < days[1] / 2, "Wednesday is a holiday"
    busiest = fortnight.knowledge.place_hours.sum(axis=1).argmax()
    assert truth.place_hours.sum(axis=1).argmax() != busiest, "lectures have moved"


def test_questions_are_in_order_of_time_at_distinct_instants(truth: GroundTruth) -> None:
    instants = [question.at for question in truth.questions]
    assert instants == sorted(set(instants))
    assert {question.about for question in truth.questions} == set(About)
    assert all(question.end < question.at and question.end - question.start < DAY for question in truth.questions)


def test_an_interval_is_independent_of_what_a_question_is_about(truth: GroundTruth) -> None:
    widths = {
        about: np.mean([each.end - each.start for each in truth.questions if each.about == about]) for about in About
    }
    assert max(widths.values()) < 1.5 * min(widths.values())


def test_a_device_counts_once_in_each_hour() -> None:
    devices, starts, ends = np.array([1, 1, 2]), np.array([0, 5, HOUR]), np.array([1, HOUR, 2 * HOUR])
    assert present(devices, starts, ends, 3).tolist() == [1, 2, 1]


def test_groups_are_about_equally_busy(sealed: Recording) -> None:
    of = groups(sealed.knowledge)
    busy = np.zeros(4)
    for place, hours in zip(sealed.knowledge.places, sealed.knowledge.place_hours, strict=True):
        busy[of[place]] += hours.sum()
    assert busy.max() < 1.6 * busy.min()
