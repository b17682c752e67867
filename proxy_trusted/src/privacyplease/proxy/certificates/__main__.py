"""The certificates command: `python -m privacyplease.proxy.certificates --folder DIR init|issue|…`.

`privacyplease certs` runs it. It prints one JSON document; on failure it prints a line on stderr and exits with code 2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from privacyplease.proxy.certificates.authority import Subject, common_name
from privacyplease.proxy.certificates.folder import CertificateEntry, Certificates
from privacyplease.proxy.edge.identity import fingerprint
from privacyplease.proxy.errors import ConfigurationError

Document = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 on success; 2 on failure.
    """
    flags = _parser().parse_args(arguments)
    now = datetime.now(UTC)
    try:
        document = _COMMANDS[flags.command](Certificates(flags.folder), flags, now)
    except (ConfigurationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(document))
    return 0


def _init(folder: Certificates, flags: argparse.Namespace, now: datetime) -> Document:
    if any(folder.entries()):
        raise ConfigurationError(f"{folder.path}: already holds certificates; use issue or renew instead")
    return _named(folder, folder.prepare(now, flags.host), now)


def _issue(folder: Certificates, flags: argparse.Namespace, now: datetime) -> Document:
    return _named(folder, [folder.issue(flags.name, now)], now)


def _renew(folder: Certificates, flags: argparse.Namespace, now: datetime) -> Document:
    renewable = [entry.name for entry in folder.entries() if not entry.is_authority]
    names = flags.names or (folder.due(now) if flags.due else renewable)
    return _named(folder, [folder.renew(name, now, flags.host) for name in names], now)


def _show(folder: Certificates, _flags: argparse.Namespace, now: datetime) -> Document:
    return _named(folder, [entry.name for entry in folder.entries()], now)


def _prepare(folder: Certificates, _flags: argparse.Namespace, now: datetime) -> Document:
    """What `up` needs: creates what is missing, and renews what is due."""
    created = folder.prepare(now)
    return {"made": created, "renewed": [folder.renew(name, now) for name in folder.due(now)]}


def _named(folder: Certificates, names: list[str], now: datetime) -> Document:
    entries = {entry.name: entry for entry in folder.entries()}
    return {"folder": str(folder.path), "certificates": [_row(entries[name], now) for name in names]}


def _row(entry: CertificateEntry, now: datetime) -> Document:
    certificate = entry.certificate
    left = certificate.not_valid_after_utc - now
    subject = None if entry.is_authority else Subject.of(certificate)
    return {
        "name": entry.name,
        "use": subject.use if subject else "authority",
        "identity": subject.identity if subject else None,
        "hosts": list(subject.hosts) if subject else [],
        "issuer": common_name(certificate.issuer),
        "expires": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": left.days,
        "fingerprint": fingerprint(certificate.public_bytes(Encoding.DER)),
        "state": "expired" if left.total_seconds() < 0 else "renew" if entry.due(now) else "valid",
    }


_COMMANDS: Mapping[str, Callable[[Certificates, argparse.Namespace, datetime], Document]] = {
    "init": _init,
    "issue": _issue,
    "renew": _renew,
    "show": _show,
    "prepare": _prepare,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="privacyplease-certs", description="Manages an installation's certificates.")
    parser.add_argument("--folder", required=True, type=Path, metavar="DIR", help="folder of the certificates")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="list the certificates")
    commands.add_parser("prepare", help="create what is missing and renew what is due")
    init = commands.add_parser("init", help="create authorities and the certificates of every process")
    issue = commands.add_parser("issue", help="issue a client's certificate")
    issue.add_argument("name", help="the client's name")
    renew = commands.add_parser("renew", help="renew certificates; by default all but the authorities")
    renew.add_argument("names", nargs="*", help="which ones")
    renew.add_argument("--due", action="store_true", help="only those that expire soon")
    for command in (init, renew):
        command.add_argument("--host", action="append", default=[], help="name or address of the servers; repeatable")
    return parser


if __name__ == "__main__":
    sys.exit(main())
