import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from privacyplease.cli import failures
from privacyplease.cli.application import hoisted, run
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.local import proxy_commands
from privacyplease.client import errors
from privacyplease.client._internal.connection.statuses import BY_REASON

RANGE = ["--from", "-2h", "--to", "now"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVACYPLEASE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PRIVACYPLEASE_PROXY", raising=False)


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.DONE
    assert "Usage: privacyplease" in capsys.readouterr().out


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"privacyplease {metadata.version('privacyplease')}\n"


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
def test_wrong_usage_exits_with_2_and_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--proxy", "127.0.0.1:1", *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: ")


def test_a_closed_pipe_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken_pipe:
        monkeypatch.setattr(sys, "stdout", broken_pipe)
        assert run(["count", "--help"]) == ExitCode.DONE
        assert run(["plan", "--records-per-day", "24500"]) == ExitCode.DONE


@pytest.mark.parametrize("address", ["nonsense", "localhost:99999", ":50050", "http://localhost:50050"])
def test_an_invalid_address_is_wrong_usage(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--proxy", address, "count", *RANGE]) == ExitCode.USAGE
    assert f"--proxy: expected HOST:PORT, got {address!r}" in capsys.readouterr().err


def test_without_a_known_proxy_the_hint_is_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", *RANGE]) == ExitCode.TRY_AGAIN
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: no proxy is known")
    assert hint.startswith("hint: start one with `privacyplease up --home ")


def test_a_proxy_that_does_not_answer_exits_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", *RANGE, "--proxy", "127.0.0.1:1", "--insecure"]) == ExitCode.TRY_AGAIN
    assert "hint: start it with" in capsys.readouterr().err


def test_status_and_down_when_nothing_is_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json"]) == ExitCode.TRY_AGAIN
    status = json.loads(capsys.readouterr().out)
    assert (status["healthy"], status["proxy"], status["server"]) == (False, None, None)
    assert run(["status"]) == ExitCode.TRY_AGAIN
    assert f"start it with: privacyplease up --home {tmp_path / 'home'}" in capsys.readouterr().out
    assert run(["down"]) == ExitCode.DONE


def test_global_options_may_follow_the_command() -> None:
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


def test_restore_accept_runs_the_proxys_accept_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[tuple[str, ...]] = []

    def run_command(*arguments: str, failure: str) -> dict[str, str]:
        commands.append(arguments)
        return {}

    monkeypatch.setattr(proxy_commands, "_run", run_command)
    assert run(["restore", "--accept", "--json"]) == ExitCode.DONE
    home = tmp_path / "home"
    assert commands == [("backup", "--home", str(home / "proxy"), "accept")]
    assert json.loads(capsys.readouterr().out) == {"home": str(home)}


def test_the_hint_for_a_rolled_back_home_names_both_remedies() -> None:
    failure = failures.failure_of(errors.RolledBackError("the trusted store was rolled back"))
    assert failure is not None
    assert "bring the newer home back" in failure.hint
    assert "`python -m privacyplease.proxy.backup --home DIR accept`" in failure.hint


def test_an_unexpected_error_is_raised() -> None:
    assert failures.failure_of(ZeroDivisionError()) is None


def test_exit_codes_are_the_documented_ones() -> None:
    page = Path(__file__).parents[3].joinpath("docs", "COMMANDS.md").read_text(encoding="utf-8")
    table = page.partition("## Exit codes")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) ", table, re.MULTILINE)] == list(ExitCode)


@pytest.mark.parametrize("brokers", ["kafka", "kafka:9092,http://kafka", "kafka:99999"])
def test_an_invalid_address_of_a_broker_is_wrong_usage(brokers: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", "dlq", "list", "--bootstrap", brokers, "--topic", "wifi"]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "--bootstrap" in error
    assert f"expected HOST:PORT, got {brokers.split(',')[-1]!r}" in error
