"""The certificates of an installation, which the proxy's distribution makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privacyplease.cli.local import distribution


def certs(folder: Path, *arguments: str) -> dict[str, Any]:
    """Runs a command on the certificates in a folder, and returns the document that it prints.

    Raises:
        CommandError: The proxy's distribution is not installed, or the command fails.
    """
    given = ["--folder", str(folder), *arguments]
    return distribution.run("privacyplease.proxy.certificates", *given, otherwise="no certificate was made")
