"""The audit log of the home, verified by the proxy's distribution without the proxy: a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from privacyplease.cli.failures import CommandError

_MODULE = "privacyplease.proxy.audit"
_CANNOT = 2


def verify(proxy_home: Path, log: Path | None, passphrase_file: Path | None) -> dict[str, Any]:
    """Verifies the log of a proxy's home, or a copy of it, and returns the document that it prints.

    Raises:
        CommandError: The proxy's distribution is not installed, or the log cannot be verified.
    """
    if find_spec("privacyplease.proxy") is None or find_spec(_MODULE) is None:
        raise CommandError("privacyplease-proxy is not installed here", "pip install privacyplease-proxy")
    given = {"--log": log, "--passphrase-file": passphrase_file}
    options = [word for option, path in given.items() if path for word in (option, str(path))]
    done = subprocess.run(  # noqa: S603 (our own interpreter and arguments, no shell)
        [sys.executable, "-m", _MODULE, "--home", str(proxy_home), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode >= _CANNOT or not done.stdout:
        raise CommandError(done.stderr.strip().rpartition("error: ")[2] or "the log was not verified")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
