import json
import tomllib

import pytest

from privacyplease.cli.application import run
from privacyplease.cli.exits import ExitCode

SIZE = ["--devices", "1000", "--places", "80", "--rows-per-day", "24500"]


def test_what_is_printed_begins_with_lines_for_a_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *SIZE]) == ExitCode.DONE
    definition = tomllib.loads(capsys.readouterr().out.partition("\nindex ")[0])
    assert definition == {
        "base_width": "1h",
        "hide_volume": True,
        "indexes": {"subject": {"bins": 10}, "place": {"bins": 4}},
    }


def test_warnings_go_to_whoever_watches(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *SIZE, "--dominant-share", "0.7"]) == ExitCode.DONE
    shown = capsys.readouterr()
    assert "warning: the busiest place has 70% of all sessions" in shown.err
    assert "warning" not in shown.out


def test_a_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *SIZE, "--json"]) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["place"]["anonymity_set"] == 20
    assert set(document["subject"]["fetched_bytes"]) == {"1 h", "1 d", "30 d"}


@pytest.mark.parametrize("wrong", [["--devices", "0"], ["--dominant-share", "1.5"]])
def test_a_deployment_that_cannot_be_is_wrong_usage(wrong: list[str]) -> None:
    assert run(["plan", *SIZE, *wrong]) == ExitCode.USAGE
