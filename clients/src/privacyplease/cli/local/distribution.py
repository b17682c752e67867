"""Commands of the proxy's distribution, which works on files of the home: a process of its own, like the servers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from privacyplease.cli.failures import CommandError


def run(module: str, *arguments: str, otherwise: str, done: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Runs a module of the proxy's distribution, and returns the document that it prints.

    Args:
        module: Its name, as "privacyplease.proxy.certificates".
        arguments: What it is given.
        otherwise: What to say if it fails without a word.
        done: The exit codes with which it does not fail.

    Raises:
        CommandError: The proxy's distribution is not installed, or the command fails.
    """
    if find_spec("privacyplease.proxy") is None or find_spec(module) is None:
        raise CommandError("privacyplease-proxy is not installed here", "pip install privacyplease-proxy")
    ended = subprocess.run(  # noqa: S603 (our own interpreter and arguments, no shell)
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if ended.returncode not in done or not ended.stdout:
        raise CommandError(ended.stderr.strip().rpartition("error: ")[2] or otherwise)
    document: dict[str, Any] = json.loads(ended.stdout)
    return document
