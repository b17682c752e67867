"""Backups of the home, which the proxy's distribution makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privacyplease.cli.local import distribution


def backup(proxy_home: Path, *arguments: str, otherwise: str = "the backup failed") -> dict[str, Any]:
    """Runs a command on a proxy's home, and returns the document that it prints.

    Raises:
        CommandError: The proxy's distribution is not installed, or the command fails.
    """
    given = ["--home", str(proxy_home), *arguments]
    return distribution.run("privacyplease.proxy.backup", *given, otherwise=otherwise)
