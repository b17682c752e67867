import json
import re
from pathlib import Path

import pytest

from privacyplease.cli.application import run
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.proxy.records import dataset

SIZE = ["--records-per-day", "24500"]


def test_the_first_lines_are_valid_settings_of_a_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *SIZE, "--cover", "1s", "--core", "7.5", "--epoch-days", "7"]) == ExitCode.DONE
    entries, _, groups = capsys.readouterr().out.partition("\nsegment ")[0].partition("[bytes_per_record]")
    shipped = (Path(dataset.__file__).parent / "datasets" / "wifi.toml").read_text()
    own = shipped.partition("[bytes_per_record]")[0].replace("epoch_days = 30\n", entries)
    definition = dataset.parse(f"{own}[bytes_per_record]{groups}")
    assert (definition.epoch, definition.cover, definition.whole_days) == (7 * 86_400_000, 1_000, True)
    assert definition.budgets["core"].each == 7.5


def test_a_plan_has_a_line_for_each_length_of_interval(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *SIZE]) == ExitCode.DONE
    shown = capsys.readouterr().out
    assert re.findall(r"^(1 h|1 d|7 d|30 d) .*MiB", shown, re.MULTILINE) == ["1 h", "1 d", "7 d", "30 d"]
    assert "--cache-mib" in shown


def test_a_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *SIZE, "--json"]) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["segment"]["records"] == 65_536
    assert set(document["fetched"]) == {"1 h", "1 d", "7 d", "30 d"}
    assert set(document["cover"]) == {"1s", "10s"}


@pytest.mark.parametrize("wrong", [["--records-per-day", "0"], ["--cover", "5s"], ["--core", "0"]])
def test_an_impossible_deployment_is_wrong_usage(wrong: list[str]) -> None:
    assert run(["plan", *SIZE, *wrong]) == ExitCode.USAGE
