"""Shapes: columns may be added and dropped, but a change that would lose stored data is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records.dataset import Dataset, parse
from privacyplease.proxy.records.shapes import Shapes

DEFINITION = """
name = "badges"
title = "Badge readings"
epoch_days = 30
subject = "badge"
place = "door"
start = "at"
duration = "stay"
[columns]
badge = "string"
door = "string"
at = "timestamp"
stay = "duration"
visit = "duration"
floor = "int"
"""


def defined(old: str = "", new: str = "") -> Dataset:
    assert old in DEFINITION
    return parse(DEFINITION.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epoch_days = 30", "epoch_days = 31", "expected epoch 2592000000, got 2678400000"),
        ('duration = "stay"', 'duration = "visit"', "the roles of columns are fixed"),
        ('floor = "int"', 'floor = "string"', "column 'floor' is stored as int; got string"),
    ],
)
def test_a_definition_that_would_lose_stored_data_is_refused(store: Engine, old: str, new: str, message: str) -> None:
    Shapes(store).settle(defined())
    with pytest.raises(ConfigurationError, match=message):
        Shapes(store).settle(defined(old, new))
    with pytest.raises(ConfigurationError, match=message):
        Shapes(store).check({"badges": defined(old, new)})


@pytest.mark.parametrize(("old", "new"), [("floor =", 'room = "string"\nfloor ='), ('floor = "int"\n', "")])
def test_columns_can_be_added_and_dropped(store: Engine, old: str, new: str) -> None:
    Shapes(store).settle(defined())
    Shapes(store).settle(defined(old, new))
    Shapes(store).check({"badges": defined()})


def test_a_dropped_column_can_only_return_with_its_type(store: Engine) -> None:
    Shapes(store).settle(defined())
    Shapes(store).settle(defined('floor = "int"\n', ""))
    with pytest.raises(ConfigurationError, match="column 'floor' is stored as int"):
        Shapes(store).settle(defined('floor = "int"', 'floor = "float"'))


def test_a_check_records_nothing(store: Engine) -> None:
    Shapes(store).check({"badges": defined()})
    Shapes(store).settle(defined("epoch_days = 30", "epoch_days = 31"))
