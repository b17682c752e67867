"""The public interfaces that the attacks use: both servers, the SDK, and the storage contract through a relay."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks.campus import Fortnight, first_instant
from attacks.product import UnsupportedError, installed
from attacks.questions import About, ScenarioQuestion
from attacks.trace import DAY, HOUR

MORNING = range(9, 12)


def test_a_trace_holds_what_came_and_what_was_asked(tmp_path: Path) -> None:
    fortnight, first = Fortnight.simulated(30, 8, 1), first_instant()
    with installed(tmp_path) as product:
        product.start(cache_mib=0)
        for hour in MORNING:
            product.clock(first + hour * HOUR)
            product.ingest(fortnight.logged(hour))
        product.clock(first + DAY)
        product.compact(first + DAY)
        product.start(cache_mib=0)  # empties its cell cache
        for number, (about, key) in enumerate(
            [(About.DEVICE, fortnight.devices[0]), (About.PLACE, fortnight.places[0]), (About.BUILDING, "")], start=1
        ):
            product.clock(first + DAY + number)
            product.ask(ScenarioQuestion(0, about, key, first, first + DAY - 1, series=about == About.BUILDING))
        trace = product.relay.trace()
    came = {call.at for call in trace.named("Append") if call.length}
    assert came >= {first + hour * HOUR for hour in MORNING}
    asked = [call for call in trace.named("Select") if call.at > first + DAY]
    assert asked
    assert all(call.tags and sum(call.pages) == len(call.cells) for call in asked)


def test_an_unknown_entry_of_a_definition_is_unsupported(tmp_path: Path) -> None:
    with installed(tmp_path) as product:
        product.define(no_such_entry="1s")
        with pytest.raises(UnsupportedError):
            product.start()
