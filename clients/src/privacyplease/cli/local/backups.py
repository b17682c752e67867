"""Backups of the home, which the proxy's distribution makes: a process of its own, like the servers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from privacyplease.cli.failures import CommandError

_MODULE = "privacyplease.proxy.backup"


def backup(proxy_home: Path, *arguments: str) -> dict[str, Any]:
    """Runs a command on a proxy's home, and returns the document that it prints.

    Raises:
        CommandError: The proxy's distribution is not installed, or the command fails.
    """
    if find_spec("privacyplease.proxy") is None or find_spec(_MODULE) is None:
        raise CommandError("privacyplease-proxy is not installed here", "pip install privacyplease-proxy")
    done = subprocess.run(  # noqa: S603 (our own interpreter and arguments, no shell)
        [sys.executable, "-m", _MODULE, "--home", str(proxy_home), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(done.stderr.strip().rpartition("error: ")[2] or "the backup failed")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
