import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from privacyplease.cli import failures
from privacyplease.cli.application import app, hoisted, run
from privacyplease.cli.exits import ExitCode
from privacyplease.cli.local import distribution
from privacyplease.client import errors
from privacyplease.client._internal.statuses import BY_REASON

COMMANDS = ["presence", "count", "occupancy", "places", "plan", "query", "up", "status", "verify", "down", "compact"]
COMMANDS += ["backup", "restore", "audit show", "audit verify"]
COMMANDS += ["certs init", "certs issue", "certs renew", "certs show"]
COMMANDS += ["stations history", "stations now", "stations availability"]
RANGE = ["--from", "-2h", "--to", "now"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVACYPLEASE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PRIVACYPLEASE_PROXY", raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == ExitCode.DONE
    assert f"Example: privacyplease {command}" in " ".join(capsys.readouterr().out.split())


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.DONE
    assert "Usage: privacyplease" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from privacyplease.cli.application import run; run(['--help']); "
        "print([name for name in ('grpc', 'pyarrow', 'pandas', 'numpy', 'rich.console') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["count"],
        ["count", "--from", "-2x", "--to", "now"],
        ["count", *RANGE, "--timezone", "Mars"],
        ["occupancy", *RANGE, "--step", "fast"],
        ["stations", "now", "lund", "--at", "later"],
        ["verify", "--from", "yesterday"],
        ["stations", "availability", "lund", *RANGE, "--step", "fast"],
        ["query", "wifi", *RANGE, "-o", "records.txt"],
        ["restore"],
        ["restore", __file__, "--accept"],
        ["count", *RANGE, "--home"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_so(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--proxy", "127.0.0.1:1", *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: ")


def test_to_read_no_further_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert run(["count", "--help"]) == ExitCode.DONE
        assert run(["plan", "--records-per-day", "24500"]) == ExitCode.DONE


@pytest.mark.parametrize("address", ["nonsense", "localhost:99999", ":50050"])
def test_an_address_that_is_none_is_wrong_usage(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--proxy", address, "count", *RANGE]) == ExitCode.USAGE
    assert f"--proxy: expected HOST:PORT, got {address!r}" in capsys.readouterr().err


def test_without_a_proxy_the_hint_is_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", *RANGE]) == ExitCode.TRY_AGAIN
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: no proxy is known")
    assert hint.startswith("hint: start one with `privacyplease up`")


def test_a_proxy_that_does_not_answer_exits_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", *RANGE, "--proxy", "127.0.0.1:1", "--insecure"]) == ExitCode.TRY_AGAIN
    assert "hint: start it with" in capsys.readouterr().err


def test_status_and_down_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json"]) == ExitCode.TRY_AGAIN
    found = json.loads(capsys.readouterr().out)
    assert (found["healthy"], found["proxy"], found["server"]) == (False, None, None)
    assert run(["down"]) == ExitCode.DONE


def test_global_options_may_stand_anywhere() -> None:
    assert hoisted(["up", "--home", "h", "--detach"]) == ["--home", "h", "up", "--detach"]
    assert hoisted(["count", "--proxy=p:1", "--from", "-2h"]) == ["--proxy=p:1", "count", "--from", "-2h"]


@pytest.mark.parametrize("error", sorted(BY_REASON.values(), key=str))
def test_every_error_of_the_sdk_has_the_exit_code_of_its_group(error: type[errors.PrivacyPleaseError]) -> None:
    codes = {
        errors.RequestError: ExitCode.REFUSED,
        errors.RefusedError: ExitCode.REFUSED,
        errors.TryAgainError: ExitCode.TRY_AGAIN,
        errors.FaultError: ExitCode.FAULT,
        errors.TrustError: ExitCode.UNTRUSTED,
    }
    failure = failures.failure_of(error("why", violations=(errors.FieldViolation("step", "expected more"),)))
    assert failure is not None
    assert failure.message == "why\nstep: expected more"
    assert failure.code == next(code for group, code in codes.items() if issubclass(error, group))


def test_a_home_that_is_accepted_as_it_is_is_told_to_the_proxys_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def ran(module: str, *given: str, otherwise: object) -> dict[str, Any]:
        asked.append((module, *given))
        return {}

    monkeypatch.setattr(distribution, "run", ran)
    assert run(["restore", "--accept", "--json"]) == ExitCode.DONE
    home = tmp_path / "home"
    assert asked == [("privacyplease.proxy.backup", "--home", str(home / "proxy"), "accept")]
    assert json.loads(capsys.readouterr().out) == {"home": str(home)}


def test_a_rolled_back_home_has_two_ways_out() -> None:
    failure = failures.failure_of(errors.RolledBackError("the trusted store was rolled back"))
    assert failure is not None
    assert "bring the newer home back" in failure.hint
    assert "`python -m privacyplease.proxy.backup --home DIR accept`" in failure.hint


def test_an_unforeseen_error_is_not_hidden() -> None:
    assert failures.failure_of(ZeroDivisionError()) is None


def test_exit_codes_are_those_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for code in ExitCode:
        assert f"{code.value} " in text.partition("Exit codes:")[2]


def test_other_distributions_add_commands(capsys: pytest.CaptureFixture[str]) -> None:
    names = {command.name for command in _registered(app)}
    assert {"ingest", "simulate"} <= names


def _registered(group: typer.Typer) -> list[typer.models.CommandInfo | typer.models.TyperInfo]:
    return [*group.registered_commands, *group.registered_groups]


def test_a_plugin_that_does_not_load_takes_nothing_down(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    from privacyplease.cli import application

    application._add_plugin(EntryPoint("broken", "no.such.module:app", application.PLUGINS))
    assert "`broken` does not load" in capsys.readouterr().err
