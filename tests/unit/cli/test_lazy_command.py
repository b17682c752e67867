"""Commands are imported when they are called, and not before."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

from privacyplease.cli.application import PLUGINS, app, run
from privacyplease.cli.commands import COMMANDS
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.lazy_command import LazyCommand
from tests.services import command_line

HEAVY = {"flask", "grpc", "numpy", "pandas", "psutil", "pyarrow", "pydantic", "rich"}


def lazy_commands() -> dict[str, LazyCommand]:
    """The commands of all distributions."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    context = typer.Context(group)
    return {name: group.get_command(context, name) for name in group.list_commands(context)}  # type: ignore[misc]


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command line has imported when it ends."""
    code = (
        "import json, sys; from privacyplease.cli.application import run; run(sys.argv[1:]); "
        "print(json.dumps(list(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["count", "--help"]], ids=" ".join)
def test_help_and_version_import_no_heavy_library(arguments: list[str]) -> None:
    assert imported_by(*arguments) & HEAVY == set()


def test_help_imports_no_command() -> None:
    modules = imported_by("--help")
    assert not [module for module in modules if module.startswith("privacyplease.cli.commands.")]
    assert "privacyplease.ingest.cli" not in modules


def test_count_imports_only_what_it_needs(tmp_path: Path) -> None:
    interval = ["--from", "-2h", "--to", "now"]
    modules = imported_by("--home", str(tmp_path), "--proxy", "127.0.0.1:1", "--insecure", "count", *interval)
    assert "grpc" in modules
    assert modules & HEAVY == {"grpc"}


@pytest.mark.parametrize("name", lazy_commands())
def test_the_line_of_help_is_the_first_sentence_of_the_command(name: str) -> None:
    command = lazy_commands()[name]
    assert command.get_short_help_str(200) == command.load(name).get_short_help_str(200)


def test_the_shell_completes_commands_and_their_options(tmp_path: Path) -> None:
    def completed(line: str) -> list[str]:
        words = {"COMP_WORDS": f"privacyplease {line}", "COMP_CWORD": str(len(line.split(" ")))}
        return command_line.run(tmp_path, _PRIVACYPLEASE_COMPLETE="complete_bash", **words).stdout.split()

    assert completed("co") == ["count", "compact"]
    assert completed("ing") == ["ingest"]
    assert completed("audit ") == ["show", "verify"]
    assert completed("count --ex") == ["--exact"]


def test_other_distributions_add_commands() -> None:
    assert {"ingest", "simulate"} <= set(lazy_commands())


def test_a_mistyped_command_is_rejected_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulat"]) == ExitCode.USAGE
    assert "Did you mean 'simulate'?" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["no.such.module:COMMAND", "privacyplease.ingest.cli:app"])
def test_a_broken_entry_point_is_a_warning(
    target: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("broken", target, PLUGINS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    assert run(["--help"]) == ExitCode.DONE
    output = capsys.readouterr()
    assert "warning: the command `broken` cannot be loaded: " in output.err
    assert "broken" not in output.out


def test_a_command_whose_module_cannot_be_imported_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "broken", LazyCommand("no.such.module:command", "Broken."))
    assert run(["broken"]) == ExitCode.FAULT
    assert "error: the command `broken` cannot be loaded: " in capsys.readouterr().err
