"""The backup command: `python -m privacyplease.proxy.backup --home DIR save|restore FILE`, or `accept`.

`privacyplease backup` and `privacyplease restore` run the first two. `accept` is for a home that was rolled back, if an
administrator has decided to continue from it. The command prints one JSON document; on failure it prints a line on
stderr and exits with code 2.
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
from privacyplease.transport import environment


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 on success; 2 on failure.
    """
    environment.receive()
    flags = _parser().parse_args(arguments)
    try:
        document = _run(flags, Home(flags.home))
    except (ConfigurationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (SQLAlchemyError, sqlite3.Error) as error:  # its message may quote a row
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
    save = commands.add_parser("save", help="back up the home, beside a running proxy")
    save.add_argument("file", type=Path, help="file to create, or a folder to create it in")
    save.add_argument("--certificates", type=Path, metavar="DIR", help="folder of certificates to include")
    restore = commands.add_parser("restore", help="create a home from a backup")
    restore.add_argument("file", type=Path, help="the backup")
    restore.add_argument(
        "--certificates", required=True, type=Path, metavar="DIR", help="where to put the backup's certificates, if any"
    )
    commands.add_parser("accept", help="allow the next start to continue from a home that was rolled back")
    return parser


if __name__ == "__main__":
    sys.exit(main())
