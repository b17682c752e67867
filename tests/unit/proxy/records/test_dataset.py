"""Definitions of data sets: an invalid one is refused with the name of the entry at fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import parse

GOOD = """
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
floor = "int"
[bytes_per_record]
core = 6
"""


def test_a_definition_is_read() -> None:
    badges = parse(GOOD)
    assert badges.required == ("badge", "door", "at", "stay")
    assert badges.others == ["floor"]
    assert badges.epoch == 30 * 86_400_000
    assert badges.budgets["core"] == (1_024, 6.0)
    assert badges.budgets["rest"] == (1_152, 1.0)
    assert (badges.retain, badges.cover, badges.whole_days, badges.is_stations) == (None, None, False, False)


@pytest.mark.parametrize(
    ("text", "width"), [("90s", 90_000), ("15m", 900_000), ("8h", 28_800_000), ("2d", 172_800_000)]
)
def test_a_duration_is_read_in_every_unit(text: str, width: int) -> None:
    assert parse(f'retain = "{text}"\n{GOOD}').retain == width


def test_cover_and_prefetch_are_read() -> None:
    covered = parse('cover = "1s"\ncover_records = 64\nprefetch = "day"\n' + GOOD)
    assert (covered.cover, covered.cover_records, covered.whole_days) == (1_000, 64, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "badges"', "name = ", "not TOML: "),
        ('name = "badges"\n', "", "name: expected str, got NoneType"),
        ('"badges"', '"Badges"', "name: expected lower-case letters, digits and _, at most 63, got 'Badges'"),
        ('"badges"', f'"{"b" * 64}"', "name: expected lower-case"),
        ('"Badge readings"', "7", "title: expected str, got int"),
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
        ('floor = "int"', "\n".join(f'c{n} = "int"' for n in range(513)), "columns: expected at most 512, got 517"),
        ('floor = "int"', 'Floor = "int"', "columns: expected lower-case letters"),
        ("core = 6", "core = 0", "bytes_per_record.core: expected more than 0 and at most 1024, got 0"),
        ("core = 6", "core = true", "bytes_per_record.core: expected more than 0 and at most 1024, got True"),
        ("core = 6", 'core = "6"', "bytes_per_record.core: expected more than 0 and at most 1024, got '6'"),
        ("core = 6", "bin = 6", "bytes_per_record: expected a table of core, rest, rollup"),
        ("[columns]", "bytes_per_record = 6\n[columns]", "not TOML: "),
        ("[columns]", 'cover = "1w"\n[columns]', "cover: expected a duration such as \"1h\", got '1w'"),
        ("[columns]", 'cover = "0s"\n[columns]', "cover: expected a duration"),
        ("[columns]", "cover_records = 0\n[columns]", "cover_records: expected 1 to 65,536, got 0"),
        ("[columns]", 'prefetch = "week"\n[columns]', "prefetch: expected \"day\", got 'week'"),
        ("[columns]", 'base_width = "1h"\n[columns]', "base_width: no longer supported"),
        ("[columns]", "hide_volume = true\n[columns]", "hide_volume: no longer supported"),
        ("core = 6", "core = 6\n[indexes.place]\nbins = 4", "indexes: no longer supported"),
        ("[columns]", "colour = 1\n[columns]", "colour: no such entry"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}"):
        parse(GOOD.replace(old, new, 1))


def test_definitions_in_the_folder_are_added_to_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "badges.toml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not a definition")
    assert set(dataset.load(tmp_path)) == {"badges", *dataset.load()}


def test_a_definition_in_the_folder_replaces_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD.replace('"badges"', '"wifi"'))
    assert dataset.load(tmp_path)["wifi"].title == "Badge readings"


def test_two_definitions_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ConfigurationError, match=r"b\.toml: expected a unique name, got 'badges' a second time"):
        dataset.load(tmp_path)


@pytest.mark.parametrize("content", [b"name = 1", b"\xff"], ids=["wrong", "not UTF-8"])
def test_the_file_at_fault_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"bad\.toml: "):
        dataset.load(tmp_path)


def test_a_missing_folder_defines_nothing(tmp_path: Path) -> None:
    assert set(dataset.load(tmp_path / "none")) == set(dataset.load())
