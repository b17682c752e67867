"""Verifies the audit log of a stopped proxy, or a copy of it: `python -m privacyplease.proxy.audit --home DIR`.

`privacyplease audit verify --offline` runs it. It prints one JSON document; the exit code is 0 if the log is intact, 1
if it is not, and 2 if it cannot be verified. It needs the home's keys and trusted store; the log may be a copy
elsewhere. If proxies share a trusted store, PRIVACYPLEASE_TRUSTED_STORE names it, as for the proxy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from privacyplease.proxy.audit.reader import AuditReader
from privacyplease.proxy.errors import ConfigurationError, KeyringError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import described_by, folder_in_force
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.transport import environment


def main(arguments: list[str] | None = None) -> int:
    """Verifies the log.

    Returns:
        0 if the log is intact; 1 if it is not; 2 if it cannot be verified.
    """
    environment.receive()
    flags = _parser().parse_args(arguments)
    home = Home(flags.home)
    try:
        passphrase = flags.passphrase_file.read_text().strip() if flags.passphrase_file else None
        passphrase = passphrase or os.environ.pop("PRIVACYPLEASE_PASSPHRASE", None)
        store = trusted_store.open_existing(home.trusted_store, os.environ.get("PRIVACYPLEASE_TRUSTED_STORE"))
        anchor = trusted_store.open_store(home.trusted_store)
        master = described_by(home, folder_in_force(store)).master_key(passphrase, wraps=True)
        reader = AuditReader(flags.log or home.audit, anchor, Keyring(store, master))
        remembered, verdict = reader.remembered().number, reader.verify()
    except (ConfigurationError, KeyringError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        json.dumps(
            {"lines": verdict.lines, "first": verdict.first, "remembered": remembered, "findings": verdict.findings}
        )
    )
    return 1 if verdict.findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="privacyplease-audit", description="Verifies an audit log.")
    parser.add_argument("--home", required=True, type=Path, metavar="DIR", help="the proxy's home")
    parser.add_argument("--log", type=Path, metavar="DIR", help="folder of the log; default: the one in the home")
    parser.add_argument("--passphrase-file", type=Path, metavar="F", help="file with the passphrase of the master key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
