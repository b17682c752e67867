"""The audit log of the home, verified by the proxy's distribution without the proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privacyplease.cli.local import distribution

_SOUND, _FOUND = 0, 1


def verify(proxy_home: Path, log: Path | None, passphrase_file: Path | None) -> dict[str, Any]:
    """Verifies the log of a proxy's home, or a copy of it, and returns the document that it prints.

    Raises:
        CommandError: The proxy's distribution is not installed, or the log cannot be verified.
    """
    given = {"--log": log, "--passphrase-file": passphrase_file}
    options = [word for option, path in given.items() if path for word in (option, str(path))]
    return distribution.run(
        "privacyplease.proxy.audit",
        "--home",
        str(proxy_home),
        *options,
        otherwise="the log was not verified",
        done=(_SOUND, _FOUND),
    )
