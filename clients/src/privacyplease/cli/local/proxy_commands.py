"""Commands of the proxy's distribution that work on files of the home. Like the servers, they run as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.child_environment import child_environment

if TYPE_CHECKING:
    from pathlib import Path


def certificates(folder: Path, *arguments: str) -> dict[str, Any]:
    """Runs a command on the certificates in a folder, and returns the document that it prints.

    Raises:
        CommandError: The proxy's distribution is not installed, or the command fails.
    """
    return _run("certificates", "--folder", str(folder), *arguments, failure="no certificate was made")


def backup(proxy_home: Path, *arguments: str, failure: str = "the backup failed") -> dict[str, Any]:
    """Runs a backup command on a proxy's home, and returns the document that it prints.

    Args:
        proxy_home: The home.
        arguments: The command and its arguments.
        failure: The message if the command fails without one.

    Raises:
        CommandError: The proxy's distribution is not installed, or the command fails.
    """
    return _run("backup", "--home", str(proxy_home), *arguments, failure=failure)


def verify_audit_log(proxy_home: Path, log: Path | None, passphrase_file: Path | None) -> dict[str, Any]:
    """Verifies the audit log of a proxy's home, or a copy of it, without the proxy; returns the verdict.

    Raises:
        CommandError: The proxy's distribution is not installed, or the log cannot be verified.
    """
    values = {"--log": log, "--passphrase-file": passphrase_file}
    options = [word for option, path in values.items() if path for word in (option, str(path))]
    exit_codes = 0, 1  # whole, and tampered with
    return _run("audit", "--home", str(proxy_home), *options, failure="the log was not verified", exit_codes=exit_codes)


def _run(module: str, *arguments: str, failure: str, exit_codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Runs a module of `privacyplease.proxy`, and returns the document that it prints.

    Args:
        module: Its name.
        arguments: Its arguments.
        failure: The message if it fails without one.
        exit_codes: Those with which it prints a document.
    """
    path = f"privacyplease.proxy.{module}"
    if find_spec("privacyplease.proxy") is None or find_spec(path) is None:
        raise CommandError("privacyplease-proxy is not installed here", "pip install privacyplease-proxy")
    environment = child_environment(path, os.environ)
    process = subprocess.run(  # noqa: S603 (our own interpreter and arguments, no shell)
        [sys.executable, "-m", path, *arguments],
        input=environment.piped,
        env=environment.visible,
        capture_output=True,
        check=False,
    )
    if process.returncode not in exit_codes or not process.stdout:
        raise CommandError(process.stderr.decode(errors="replace").strip().rpartition("error: ")[2] or failure)
    document: dict[str, Any] = json.loads(process.stdout)
    return document
