"""The output formats for programs, --json and --csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from privacyplease.cli.application import app, run
from privacyplease.cli.lazy_command import LazyCommand
from privacyplease.cli.output.output_formats import printed_for_programs

# These do something, and report it in one document.
ACTIONS = {
    ("backup",),
    ("certs", "init"),
    ("certs", "issue"),
    ("approvals", "deny"),
    ("approvals", "grant"),
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
    for name, command in _subcommands(group):
        yield (*path, name), command
        yield from _commands(command, (*path, name))


def _subcommands(group: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(group, "commands"):
        return
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield name, command.load(name) if isinstance(command, LazyCommand) else command


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_every_command_with_an_answer_prints_it_as_json_and_as_csv() -> None:
    options = {path: {flag for option in command.params for flag in option.opts} for path, command in COMMANDS.items()}
    json = {path for path, flags in options.items() if "--json" in flags}
    csv = {path for path, flags in options.items() if "--csv" in flags}
    assert json - csv == ACTIONS
    assert csv <= json
    assert len(csv) > 15


@pytest.mark.parametrize("path", sorted(path for path, command in COMMANDS.items() if not hasattr(command, "commands")))
def test_every_command_shows_an_example_of_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    assert f"Example: privacyplease {' '.join(path)}" in " ".join(capsys.readouterr().out.split())


def test_json_and_csv_together_are_rejected_before_the_proxy_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--json", "--csv"], ["--csv", "--json"]):
        assert run(["count", "--from", "-2h", "--to", "now", *flags]) == 2
        assert "expected --json or --csv, got both" in capsys.readouterr().err


def test_csv_quotes_values_and_leaves_null_empty(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"place": 'ap "1", east', "open": True, "seen": None, "more": 1}, {"place": "å", "open": False, "seen": 0}]
    assert printed_for_programs({"places": rows}, json=False, csv=True, columns=("place", "open", "seen"), rows=rows)
    assert capsys.readouterr().out.splitlines() == ["place,open,seen", '"ap ""1"", east",true,', "å,false,0"]


def test_csv_has_no_formulas_and_json_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"purpose": '=HYPERLINK("https://x")', "who": ["@SUM(A1)", "b"], "change": -5, "share": -0.5}
    assert printed_for_programs({}, json=False, csv=True, columns=tuple(row), rows=[row])
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1] == [
        f"'{row['purpose']}",
        "'@SUM(A1) b",
        "-5",
        "-0.5",
    ]
    assert printed_for_programs({"entries": [row]}, json=False, csv=True)
    assert f"'{row['purpose']}" in [
        name_and_value[1] for name_and_value in csv.reader(io.StringIO(capsys.readouterr().out))
    ]
    assert printed_for_programs({"entries": [row]}, json=True, csv=False)
    assert json.loads(capsys.readouterr().out) == {"entries": [row]}


def test_csv_without_rows_has_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_for_programs({"places": []}, json=False, csv=True, columns=("place",), rows=[])
    assert capsys.readouterr().out == "place\n"


def test_nothing_is_printed_without_json_or_csv() -> None:
    assert not printed_for_programs({}, json=False, csv=False)
