"""A home of its own for a test module, and the command line as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services import command_line

Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    yield home
    _process(home, "down")


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    """Runs a command in this process: whatever asks servers that run."""
    return lambda *arguments, **options: command_line.run(home, *arguments, **options)


@pytest.fixture(scope="module")
def process(home: Path) -> Run:
    """Runs a command in a process of its own: whatever starts servers, stops them, or asks the person."""
    return lambda *arguments, **options: _process(home, *arguments, **options)


@pytest.fixture(scope="module")
def up(process: Run) -> None:
    result = process("up", "--detach", "--proxy-port", "0")
    assert result.returncode == 0, result.stderr


def _process(home: Path, *arguments: str, text: str | None = None, **environment: str) -> Result:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRIVACYPLEASE_")}
    return subprocess.run(
        [sys.executable, "-m", "privacyplease.cli", "--home", str(home), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**kept, **environment},
    )
