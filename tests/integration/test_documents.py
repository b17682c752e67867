"""What the documents tell people to enter works, on one campus: commands, Python, the notebook, the SDK's examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import runpy
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from privacyplease.cli import application
from privacyplease.client._internal import blocking
from tests.services.polling import eventually
from tests.services.stack import Stack, stack

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/BUILDING_MANAGER.md",
    "docs/SECURITY_OFFICER.md",
    "docs/DATA_ANALYST.md",
    "docs/OPERATIONS.md",
    "docs/BACKUP.md",
    "docs/KEYS.md",
)
CAMPUS = "simulate --devices 500 --places 40 --days 2 --start 2024-10-01 -o campus.csv.gz"

# What starts and stops servers is tested where they are.
ELSEWHERE = ("up", "down", "dashboard")

_BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^\n]+ -->\n)?```(?P<language>console|python)\n(?P<text>.*?)```", re.DOTALL
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("campus")
    with stack(f"sqlite:///{folder}/cells.db") as running, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MPLBACKEND", "Agg")
        patch.setenv("PRIVACYPLEASE_PROXY", running.proxy)
        patch.setenv("PRIVACYPLEASE_CERTIFICATES", str(running.certificates))
        assert application.run(shlex.split(CAMPUS)) == 0
        assert application.run(["ingest", "wifi", "campus.csv.gz"]) == 0
        yield running


def _blocks(page: str, language: str) -> list[str]:
    found = _BLOCK.finditer(ROOT.joinpath(page).read_text())
    return [block["text"] for block in found if block["language"] == language and not block["skip"]]


def _commands(page: str) -> Iterator[tuple[str, str]]:
    """Commands of ours, and what is shown as their output, if anything."""
    for block in _blocks(page, "console"):
        for entered in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, shown = entered.partition("\n")
            words = shlex.split(line, comments=True)
            if words[0] == "privacyplease" and words[1] not in ELSEWHERE:
                yield line, shown.strip()


@pytest.mark.parametrize("page", PAGES)
def test_commands_do_as_they_are_shown(
    page: str, running: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVACYPLEASE_PROXY")  # the home knows its proxy, and some commands are about the home
    monkeypatch.delenv("PRIVACYPLEASE_CERTIFICATES")
    commands = list(_commands(page))
    assert commands
    for line, shown in commands:
        code = application.run(["--home", str(running.home), *shlex.split(line, comments=True)[1:]])
        told = capsys.readouterr()
        assert code == 0, f"{line}\n{told.err}"
        assert not shown or told.out.strip() == shown, line


def test_two_people_do_as_they_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an installation of their own: what they change of the policy would be in the way of other pages."""
    monkeypatch.delenv("PRIVACYPLEASE_PROXY", raising=False)  # that of the other pages, if they were before
    monkeypatch.delenv("PRIVACYPLEASE_CERTIFICATES", raising=False)
    page = ROOT.joinpath("docs/SECURITY_OFFICER.md").read_text()
    section = page.partition("## Two people\n")[2].partition("\n## ")[0]
    shown = re.findall(r"```(console|toml)\n(.*?)```", section, re.DOTALL)
    assert [language for language, _ in shown] == ["console", "toml"] + ["console", "toml"] * 2 + ["console"] * 2
    with stack(f"sqlite:///{tmp_path}/cells.db") as running:
        monkeypatch.chdir(running.home)
        for language, block in shown:
            if language == "toml":
                _change_policy(running, block)
                continue
            for line in re.findall(r"^\$ privacyplease (.+)", block, re.MULTILINE):
                code = application.run(["--home", str(running.home), *shlex.split(line, comments=True)])
                told = capsys.readouterr()
                assert (code != 0) == ("# refused" in line), f"{line}\n{told.out}{told.err}"
                for number in re.findall(r"number \d", line):
                    assert number in told.out + told.err, line


def _change_policy(running: Stack, block: str) -> None:
    """Adds a block to the policy, and waits until the proxy has seen it."""
    assert eventually(lambda: not running.client.status().policy.problem)  # what was granted before is in force
    file, before = running.home / "proxy" / "policy.toml", running.client.status().policy
    rules, _, tables = block.partition("\n[")
    text = file.read_text()
    if "approvals = " in rules:
        text = text.replace('\napprovals = "off"\n', f"\n{rules}\n")
    file.write_text(f"{text}\n[{tables}")

    def seen() -> bool:
        policy = running.client.status().policy
        return (policy.loaded_at, policy.problem) != (before.loaded_at, before.problem)

    assert eventually(seen)


@pytest.mark.parametrize("page", ["README.md", "docs/DATA_ANALYST.md"])
def test_python_runs_as_it_is_shown(page: str, running: Stack) -> None:
    names: dict[str, object] = {}
    for block in _blocks(page, "python"):
        exec(
            block.replace("127.0.0.1:50050", running.proxy).replace(
                "certificates/clients/alice", str(running.certificates)
            ),
            names,
        )
    assert names["day"]


def test_the_examples_of_the_sdk_are_true(running: Stack) -> None:
    day = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
    examples = {"client": running.client, "day": day}
    names = [module.name for module in pkgutil.iter_modules(blocking.__path__, f"{blocking.__name__}.")]
    results = [doctest.testmod(importlib.import_module(name), extraglobs=examples) for name in names]
    assert sum(result.attempted for result in results) > 5
    assert not any(result.failed for result in results)


def test_the_notebook_runs(running: Stack) -> None:
    shown = runpy.run_path(str(ROOT / "docs" / "notebook.py"))
    assert shown["seen"].answer > 0
