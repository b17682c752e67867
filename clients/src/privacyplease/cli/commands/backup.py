"""`privacyplease backup` and `privacyplease restore`: the proxy's home, kept elsewhere and brought back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Json
from privacyplease.cli.target import target


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="A new file, or a folder to make one in.")],
    with_certificates: Annotated[
        bool,
        typer.Option("--with-certificates", help="Take in certificates with their private keys, as they lie there."),
    ] = False,
    json: Json = False,
) -> None:
    """Back up what the proxy must not lose. Keys as they are wrapped, ledger, policy, audit log.

    The proxy may run, and records come in. The passphrase is not in it: keep that apart, nothing opens without it.
    Make one after each new period and each renewed key.

    PRIVACYPLEASE_TRUSTED_STORE names a trusted store that proxies share. Its own database backs that up, right after.

    --json prints {"file", "bytes", "made_at", "keys", "shared_store", "certificates", "format"}.

    Example: privacyplease backup /mnt/backups
    """
    from privacyplease.cli.local.backups import backup as run

    home = target(context).home
    certificates = ["--certificates", str(home.certificates)] if with_certificates else []
    made = run(home.proxy, "save", *certificates, str(file.absolute()))
    if json:
        screen.print_json(made)
        return
    out = screen.out()
    out.print(
        f"{screen.printable(made['file'])}: {screen.counted(made['keys'], 'key')}, {screen.mebibytes(made['bytes'])}"
    )
    if made["shared_store"]:
        out.print("the shared trusted store is not in it: back up its database now")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="What `backup` made.")],
    json: Json = False,
) -> None:
    """Make the home from a backup. It must hold nothing of a proxy yet.

    When the proxy starts, it asks the storage server for what came in after the backup, and takes in what it sealed
    itself. What was stored under keys made after the backup is lost; what was destroyed after it is back.

    --json prints {"home", "made_at", "keys", "shared_store", "certificates", "format"}.

    Example: privacyplease restore /mnt/backups/privacyplease-20241001T020000Z.tar --home /srv/privacyplease
    """
    from privacyplease.cli.local.backups import backup as run

    home = target(context).home
    certificates = ["--certificates", str(home.certificates)]
    found = run(home.proxy, "restore", *certificates, str(file.absolute()))
    if json:
        screen.print_json({"home": str(home.path), **found})
        return
    out = screen.out()
    out.print(f"{screen.printable(str(home.path))}: as of {found['made_at']}, {screen.counted(found['keys'], 'key')}")
    if found["shared_store"]:
        out.print(
            "the shared trusted store is not in it: restore its database, and start no other proxy before this one"
        )
    out.print("next: start the proxy with the passphrase of that time, as `privacyplease up --passphrase-file F` does;")
    out.print("then `privacyplease verify`, and destroy again what `keys destroy` has destroyed since")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(backup)
    app.command()(restore)
