"""Puts the policy file of a stopped proxy in force: `python -m privacyplease.proxy.access --home DIR`.

For an installation that has lost its approvers, or the record of the policy in force. It needs the passphrase of the
home, or whatever opens its master key. The audit log has the change. If proxies share a trusted store,
PRIVACYPLEASE_TRUSTED_STORE names it, as for the proxy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from privacyplease.proxy.access.policy_file import read
from privacyplease.proxy.access.policy_record import PolicyRecord, PolicyText
from privacyplease.proxy.access.second_person import require_approver
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.errors import AuditUnavailableError, ConfigurationError, KeyringError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import described_by, folder_in_force
from privacyplease.proxy.records import dataset
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.transport import environment
from privacyplease.transport.process import private_files


def main(arguments: list[str] | None = None) -> int:
    """Puts the file in force.

    Returns:
        0 if it is in force; 2 if it cannot be.
    """
    environment.receive()
    flags = _parser().parse_args(arguments)
    private_files()
    try:
        passphrase = flags.passphrase_file.read_text().strip() if flags.passphrase_file else None
        text = _put(Home(flags.home), passphrase or os.environ.pop("PRIVACYPLEASE_PASSPHRASE", None))
    except (ConfigurationError, KeyringError, AuditUnavailableError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"policy": text.digest}))
    return 0


def _put(home: Home, passphrase: str | None) -> PolicyText:
    content, policy = read(home.policy, dataset.load(home.datasets))
    require_approver(policy)
    shared = trusted_store.open_existing(home.trusted_store, os.environ.get("PRIVACYPLEASE_TRUSTED_STORE"))
    own = trusted_store.open_store(home.trusted_store)
    master = described_by(home, folder := folder_in_force(shared)).master_key(passphrase, wraps=True)
    keyring = Keyring(shared, master, folder)
    text = PolicyText(content)
    PolicyRecord(own, keyring, AuditLog(home.audit, own, keyring)).write(text, "offline")
    return text


def _parser() -> argparse.ArgumentParser:
    description = "Puts the policy file of a stopped proxy in force."
    parser = argparse.ArgumentParser(prog="privacyplease-policy", description=description)
    parser.add_argument("--home", required=True, type=Path, metavar="DIR", help="the proxy's home")
    parser.add_argument("--passphrase-file", type=Path, metavar="F", help="file with the passphrase of the master key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
