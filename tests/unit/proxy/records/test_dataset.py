"""Definitions of data sets: what is wrong with one is said by the name of its entry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from privacyplease.proxy.errors import ConfigurationError, UnknownColumnError
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import Dataset, parse

GOOD = """
name = "badges"
title = "Badge readings"
base_width = "1h"
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
floor = "int"
[indexes.subject]
bins = 8
[indexes.place]
bins = 4
columns = ["badge", "door", "at", "stay"]
"""


def test_a_definition_reads() -> None:
    badges = parse(GOOD)
    assert badges.required == ("badge", "door", "at", "stay")
    assert badges.timeline.base == 3_600_000
    assert badges.timeline.epoch == 30 * 86_400_000
    assert badges.index("subject").key == "badge"
    assert badges.index("subject").columns == ("badge", "door", "at", "stay", "floor")
    assert badges.index("place").columns == ("badge", "door", "at", "stay")
    assert badges.carried(badges.index("place")).names == ["badge", "door", "at", "stay"]


@pytest.mark.parametrize(
    ("text", "width"), [("90s", 90_000), ("15m", 900_000), ("8h", 28_800_000), ("2d", 172_800_000)]
)
def test_a_width_reads_in_every_unit(text: str, width: int) -> None:
    assert parse(GOOD.replace('"1h"', f'"{text}"')).timeline.base == width


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "badges"', "name = ", "not TOML: "),
        ('name = "badges"\n', "", "name: expected str, got NoneType"),
        ('"badges"', '"Badges"', "name: expected lower-case letters, digits and _, at most 63, got 'Badges'"),
        ('"badges"', f'"{"b" * 64}"', "name: expected lower-case"),
        ('"Badge readings"', "7", "title: expected str, got int"),
        ('"1h"', '"1w"', "base_width: expected a width such as \"1h\", got '1w'"),
        ('"1h"', '"0h"', "base_width: expected a width"),
        ("epoch_days = 30", "epoch_days = 0", "epoch_days: expected 1 to 3660, got 0"),
        ("epoch_days = 30", "epoch_days = 3661", "epoch_days: expected 1 to 3660, got 3661"),
        ("epoch_days = 30", "epoch_days = true", "epoch_days: expected int, got bool"),
        ("epoch_days = 30", "epoch_days = 1.5", "epoch_days: expected int, got float"),
        ('subject = "badge"', 'subject = "who"', "subject: expected a column, got 'who'"),
        ('subject = "badge"', 'subject = "floor"', "subject: expected a column of type mac or string, got int"),
        ('start = "at"', 'start = "stay"', "start: expected a column of type timestamp, got duration"),
        ('duration = "stay"', 'duration = "at"', "duration: expected a column of type duration, got timestamp"),
        ('place = "door"', 'place = "badge"', "subject, place, start and duration: expected four different columns"),
        ('badge = "string"', 'badge = "uuid"', "columns.badge: expected one of mac, string, timestamp"),
        ('floor = "int"', 'Floor = "int"', "columns: expected lower-case letters"),
        ("bins = 8", "bins = 0", "indexes.subject.bins: expected 1 to 65536, got 0"),
        ("bins = 8", "bins = 65537", "indexes.subject.bins: expected 1 to 65536, got 65537"),
        ("bins = 8", "bins = true", "indexes.subject.bins: expected 1 to 65536, got True"),
        ("bins = 8", 'bins = "8"', "indexes.subject.bins: expected 1 to 65536, got '8'"),
        ("bins = 8", "bins = 8\nsalt = 1", "indexes.subject: expected bins, columns and hide_volume alone"),
        ("bins = 8", "bins = 8\nhide_volume = 1", "indexes.subject.hide_volume: expected true or false, got 1"),
        ("[columns]", "hide_volume = 1\n[columns]", "hide_volume: expected bool, got int"),
        ("[indexes.place]", "[indexes.floor]", "indexes: expected subject, place or both, got 'floor'"),
        ('["badge", "door"', '["badge", "gate"', "indexes.place.columns: expected names of columns"),
        ('["badge", "door"', '["badge", ["door"]', "indexes.place.columns: expected names of columns"),
        ('["badge", "door"', '["badge"', "indexes.place.columns: expected door among them"),
        ('"at", "stay"]', '"at", "stay", "at"]', "indexes.place.columns: expected each column once"),
        ("[columns]", "colour = 1\n[columns]", "colour: no such entry"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}"):
        parse(GOOD.replace(old, new, 1))


@pytest.mark.parametrize(("indexes", "got"), [("indexes = {}", "''"), ("indexes = {subject = 3}", "a table, got int")])
def test_indexes_are_tables(indexes: str, got: str) -> None:
    head = GOOD[: GOOD.index("[indexes.subject]")]
    with pytest.raises(ConfigurationError, match=got):
        parse(indexes + "\n" + head)


def test_an_index_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownColumnError, match="it has subject, place"):
        parse(GOOD).index("floor")


def test_the_folders_definitions_stand_beside_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "badges.toml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not a definition")
    assert set(dataset.load(tmp_path)) == {"badges", *dataset.load()}


def test_a_definition_of_the_folder_replaces_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD.replace('"badges"', '"wifi"'))
    assert dataset.load(tmp_path)["wifi"].title == "Badge readings"


def test_two_definitions_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ConfigurationError, match=r"b\.toml: expected a name of its own, got 'badges' again"):
        dataset.load(tmp_path)


@pytest.mark.parametrize("content", [b"name = 1", b"\xff"], ids=["wrong", "not UTF-8"])
def test_the_file_at_fault_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"bad\.toml: "):
        dataset.load(tmp_path)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert set(dataset.load(tmp_path / "none")) == set(dataset.load())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"1h"', '"2h"'),
        ("epoch_days = 30", "epoch_days = 31"),
        ("bins = 8", "bins = 16"),
        ("[indexes.place]\nbins = 4\n", "[indexes.subject.x]\n"),
        ('duration = "stay"', 'duration = "visit"'),
        ('place = "door"', 'place = "gate"'),
    ],
)
def test_the_shape_changes_with_what_tags_are_made_of(old: str, new: str) -> None:
    more = GOOD.replace('floor = "int"', 'floor = "int"\nvisit = "duration"\ngate = "string"')
    more = more.replace('columns = ["badge", "door", "at", "stay"]\n', "")
    assert old in more
    changed = more.replace(old, new) if "subject.x" not in new else more[: more.index("[indexes.place]")]
    assert parse(changed).shape != parse(more).shape


def test_the_shape_stays_when_columns_are_added(wifi: Dataset) -> None:
    assert parse(GOOD.replace('floor = "int"', 'floor = "int"\nroom = "string"')).shape == parse(GOOD).shape
    assert len(wifi.shape) < 4_000  # what the trusted store has room for


def test_volume_is_hidden_unless_the_definition_or_an_index_says_otherwise() -> None:
    def hidden(text: str) -> dict[str, bool]:
        return {name: index.hide_volume for name, index in parse(text).indexes.items()}

    assert hidden(GOOD) == {"subject": True, "place": True}
    off = GOOD.replace("[columns]", "hide_volume = false\n[columns]")
    assert hidden(off) == {"subject": False, "place": False}
    assert hidden(off.replace("bins = 8", "bins = 8\nhide_volume = true")) == {"subject": True, "place": False}
