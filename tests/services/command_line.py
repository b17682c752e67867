"""The command line inside the test's process, which starts no other: what it prints and exits with is the same.

Example:
    result = run(home, "count", "--from", "2024-10-01", "--to", "2024-10-02", "--json")
    assert result.returncode == 0, result.stderr
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

from typer.testing import CliRunner

from privacyplease.cli import application


def run(home: Path, *arguments: str, text: str | None = None, **environment: str) -> CompletedProcess[str]:
    """Runs `privacyplease`, of whose variables only those given are set.

    Args:
        home: Its home.
        arguments: The command.
        text: What comes by standard input.
        environment: What it has in its environment beyond ours.
    """
    hidden = {name: None for name in os.environ if name.startswith("PRIVACYPLEASE_")}
    with CliRunner().isolation(text, {**hidden, "COLUMNS": "80", **environment}) as (out, err, _):
        code = _run(["--home", str(home), *arguments])
        sys.stdout.flush()
        sys.stderr.flush()
        return CompletedProcess(arguments, code, out.getvalue().decode(), err.getvalue().decode())


def _run(arguments: list[str]) -> int:
    try:
        return application.run(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
