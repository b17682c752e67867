"""`privacyplease backup` and `privacyplease restore`: the proxy's home, kept elsewhere and brought back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Json
from privacyplease.cli.target import target

if TYPE_CHECKING:
    from privacyplease.cli.local.home import Home


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="A new file, or a folder to make one in.")],
    with_certificates: Annotated[
        bool,
        typer.Option("--with-certificates", help="Take in certificates with their private keys, as they lie there."),
    ] = False,
    json: Json = False,
) -> None:
    """Back up what the proxy must not lose. Keys as they are wrapped, manifest, policy, audit log.

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
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="What `backup` made.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Instead: go on from the home as it is, though a newer one is known.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the home from a backup. It must hold nothing of a proxy yet.

    When the proxy starts, it asks the storage server for what came in after the backup, and takes in what it sealed
    itself. What was stored under keys made after the backup is lost; what was destroyed after it is back.

    A proxy whose home was rolled back by other means answers nothing, for the storage server or a witness knows a newer
    one. Bring that back; or, if it is lost, stop the proxy and decide with --accept to go on from this one: when it
    starts it asks the storage server what came later, as after a restore.

    --json prints {"home", "made_at", "keys", "shared_store", "certificates", "format"}; with --accept the first two.

    Example: privacyplease restore /mnt/backups/privacyplease-20241001T020000Z.tar --home /srv/privacyplease
    """
    home = target(context).home
    if accept is (file is not None):
        raise typer.BadParameter("expected either FILE or --accept")
    found = _accepted(home) if file is None else _restored(home, file)
    if json:
        screen.print_json({"home": str(home.path), **found})
    elif accept:
        screen.out().print(f"{screen.printable(str(home.path))}: accepted; the proxy goes on from it when it starts")
    else:
        _show_restored(home, found)


def _accepted(home: Home) -> dict[str, Any]:
    from privacyplease.cli.local.backups import backup as run

    return run(home.proxy, "accept", otherwise="the home was not accepted")


def _restored(home: Home, file: Path) -> dict[str, Any]:
    from privacyplease.cli.local.backups import backup as run

    return run(home.proxy, "restore", "--certificates", str(home.certificates), str(file.absolute()))


def _show_restored(home: Home, found: dict[str, Any]) -> None:
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
