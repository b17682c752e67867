"""Answers for programs: --json and --csv."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from privacyplease.cli.application import app, run
from privacyplease.cli.forms import written

# These do something, and tell in one document what they did.
ACTS = {
    ("backup",),
    ("certs", "init"),
    ("certs", "issue"),
    ("certs", "renew"),
    ("compact",),
    ("ingest", "dlq", "replay"),
    ("ingest", "wifi"),
    ("keys", "destroy"),
    ("keys", "export"),
    ("keys", "rotate-epoch"),
    ("keys", "rotate-master"),
    ("restore",),
}


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in getattr(group, "commands", {}).items():
        yield (*path, name), command
        yield from _commands(command, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_whatever_answers_does_so_as_json_and_as_csv() -> None:
    takes = {path: {flag for option in command.params for flag in option.opts} for path, command in COMMANDS.items()}
    json = {path for path, flags in takes.items() if "--json" in flags}
    csv = {path for path, flags in takes.items() if "--csv" in flags}
    assert json - csv == ACTS
    assert csv <= json
    assert len(csv) > 15


@pytest.mark.parametrize("path", sorted(path for path, command in COMMANDS.items() if not hasattr(command, "commands")))
def test_every_command_shows_an_example_of_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    assert f"Example: privacyplease {' '.join(path)}" in " ".join(capsys.readouterr().out.split())


def test_both_at_once_are_refused_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--json", "--csv"], ["--csv", "--json"]):
        assert run(["count", "--from", "-2h", "--to", "now", *flags]) == 2
        assert "expected --json or --csv, got both" in capsys.readouterr().err


def test_rows_are_csv_and_null_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"place": 'ap "1", east', "open": True, "seen": None, "more": 1}, {"place": "å", "open": False, "seen": 0}]
    assert written({"places": rows}, json=False, csv=True, columns=("place", "open", "seen"), rows=rows)
    assert capsys.readouterr().out.splitlines() == ["place,open,seen", '"ap ""1"", east",true,', "å,false,0"]


def test_no_row_has_columns_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert written({"places": []}, json=False, csv=True, columns=("place",), rows=[])
    assert capsys.readouterr().out == "place\n"


def test_what_is_for_people_is_left_to_the_command() -> None:
    assert not written({}, json=False, csv=False)
