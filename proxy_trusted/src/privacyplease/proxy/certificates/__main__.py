"""The command for certificates: `python -m privacyplease.proxy.certificates --folder DIR init|issue|…`.

`privacyplease certs` calls it. It prints one JSON document, and fails with a line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacyplease.proxy.certificates.authority import Subject, common_name
from privacyplease.proxy.certificates.folder import CertificateEntry, Certificates
from privacyplease.proxy.errors import ConfigurationError

Document = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0; 2 if something is wrong.
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
        raise ConfigurationError(f"{folder.path}: there are certificates already; issue or renew what is missing")
    return _named(folder, folder.prepare(now, flags.host), now)


def _issue(folder: Certificates, flags: argparse.Namespace, now: datetime) -> Document:
    return _named(folder, [folder.issue(flags.name, now)], now)


def _renew(folder: Certificates, flags: argparse.Namespace, now: datetime) -> Document:
    every = [entry.name for entry in folder.entries() if not entry.is_authority]
    names = flags.names or (folder.due(now) if flags.due else every)
    return _named(folder, [folder.renew(name, now, flags.host) for name in names], now)


def _show(folder: Certificates, _flags: argparse.Namespace, now: datetime) -> Document:
    return _named(folder, [entry.name for entry in folder.entries()], now)


def _prepare(folder: Certificates, _flags: argparse.Namespace, now: datetime) -> Document:
    """What `up` does: makes what is missing, renews what is due."""
    made = folder.prepare(now)
    return {"made": made, "renewed": [folder.renew(name, now) for name in folder.due(now)]}


def _named(folder: Certificates, names: list[str], now: datetime) -> Document:
    found = {entry.name: entry for entry in folder.entries()}
    return {"folder": str(folder.path), "certificates": [_row(found[name], now) for name in names]}


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
    parser = argparse.ArgumentParser(prog="privacyplease-certs", description="The certificates of an installation.")
    parser.add_argument("--folder", required=True, type=Path, metavar="DIR", help="where they lie")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("show", "prepare"):
        commands.add_parser(command)
    init = commands.add_parser("init")
    issue = commands.add_parser("issue")
    issue.add_argument("name")
    renew = commands.add_parser("renew")
    renew.add_argument("names", nargs="*")
    renew.add_argument("--due", action="store_true")
    for takes_hosts in (init, renew):
        takes_hosts.add_argument("--host", action="append", default=[])
    return parser


if __name__ == "__main__":
    sys.exit(main())
