"""The command for backups: `python -m privacyplease.proxy.backup --home DIR save|restore FILE`, or `accept`.

`accept` is for a home that was rolled back, and that an administrator has decided to go on from. `privacyplease backup`
and `privacyplease restore` call the others. It prints one JSON document, and fails with a line on stderr
and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from privacyplease.proxy.backup import archive
from privacyplease.proxy.backup.archive import BackupContents, Document
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.home import Home


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0; 2 if something is wrong.
    """
    flags = _parser().parse_args(arguments)
    try:
        document = _run(flags, Home(flags.home))
    except (ConfigurationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (SQLAlchemyError, sqlite3.Error) as error:  # its words may quote a row
        print(f"error: the trusted store cannot be read: {type(error).__name__}", file=sys.stderr)
        return 2
    print(json.dumps(document))
    return 0


def _run(flags: argparse.Namespace, home: Home) -> Document:
    if flags.command == "accept":
        return archive.accept(home)
    if flags.command == "restore":
        return archive.restore(flags.file, home, flags.certificates)
    url = os.environ.get("PRIVACYPLEASE_TRUSTED_STORE") or None
    return archive.save(BackupContents(home, url, flags.certificates), flags.file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="privacyplease-backup", description="Backups of a proxy's home.")
    parser.add_argument("--home", required=True, type=Path, metavar="DIR", help="the proxy's home")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, certificates, words in (
        ("save", False, "folder of certificates to take in as well"),
        ("restore", True, "where certificates go, if there are any in it"),
    ):
        command = commands.add_parser(name)
        command.add_argument("file", type=Path)
        command.add_argument("--certificates", required=certificates, type=Path, metavar="DIR", help=words)
    commands.add_parser("accept", help="let the next start go on from a home that was rolled back")
    return parser


if __name__ == "__main__":
    sys.exit(main())
