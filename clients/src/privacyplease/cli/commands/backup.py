"""`privacyplease backup` and `privacyplease restore`, of the proxy's home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connection_options
from privacyplease.cli.local import proxy_commands
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Json

if TYPE_CHECKING:
    from privacyplease.cli.local.home import InstallationHome


def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", help="A file to create, or the folder to create one in.")
    ],
    with_certificates: Annotated[
        bool,
        typer.Option("--with-certificates", help="Include certificates with their private keys, unencrypted."),
    ] = False,
    json: Json = False,
) -> None:
    """Back up what the proxy must not lose.

    The backup has the wrapped keys, the manifest, the policy and the audit log. The proxy may run, and records may be
    ingested meanwhile. The passphrase is not included: keep it elsewhere, since nothing can be opened without it. Back
    up after each new period and each renewed key.

    PRIVACYPLEASE_TRUSTED_STORE names a trusted store that proxies share. Back up its database separately, right after.

    --json prints {"file", "bytes", "made_at", "keys", "shared_store", "certificates", "format"}.

    Example: privacyplease backup /mnt/backups
    """
    home = connection_options(context).home
    certificates = ["--certificates", str(home.certificates)] if with_certificates else []
    saved = proxy_commands.backup(home.proxy, "save", *certificates, str(file.absolute()))
    if json:
        screen.print_json(saved)
        return
    out = screen.out()
    keys, size = screen.counted(saved["keys"], "key"), screen.mebibytes(saved["bytes"])
    out.print(f"{screen.printable(saved['file'])}: {keys}, {size}")
    if saved["shared_store"]:
        out.print("the shared trusted store is not included: back up its database now")


def restore(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="A file that `backup` made.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Instead: continue from the home as it is, although a newer one is known.")
    ] = False,
    json: Json = False,
) -> None:
    """Restore the proxy's home from a backup.

    The home must not contain a proxy yet. When the proxy starts, it fetches from the storage server what was stored
    after the backup, and recovers what it sealed itself. Records stored under keys made after the backup are lost; what
    was destroyed after the backup is back.

    A proxy whose home was rolled back in another way refuses all questions, because the storage server or a witness
    knows a newer home. Bring the newer one back. If it is lost, stop the proxy and use --accept to continue from this
    one: when the proxy starts, it fetches what was stored later, as after a restore.

    --json prints {"home", "made_at", "keys", "shared_store", "certificates", "format"}; with --accept only the first
    two.

    Example: privacyplease restore /mnt/backups/privacyplease-20241001T020000Z.tar --home /srv/privacyplease
    """
    home = connection_options(context).home
    if accept is (file is not None):
        raise typer.BadParameter("expected either FILE or --accept")
    restored = _accept(home) if file is None else _restore(home, file)
    if json:
        screen.print_json({"home": str(home.path), **restored})
    elif accept:
        screen.out().print(f"{screen.printable(str(home.path))}: accepted; the proxy will continue from it")
    else:
        _show_restored(home, restored)


def _accept(home: InstallationHome) -> dict[str, Any]:
    return proxy_commands.backup(home.proxy, "accept", failure="the home was not accepted")


def _restore(home: InstallationHome, file: Path) -> dict[str, Any]:
    return proxy_commands.backup(home.proxy, "restore", "--certificates", str(home.certificates), str(file.absolute()))


def _show_restored(home: InstallationHome, restored: dict[str, Any]) -> None:
    out = screen.out()
    out.print(
        f"{screen.printable(str(home.path))}: as of {restored['made_at']}, {screen.counted(restored['keys'], 'key')}"
    )
    if restored["shared_store"]:
        out.print(
            "the shared trusted store is not included: restore its database, and start this proxy before any other"
        )
    out.print("next: start the proxy with the passphrase of that time, e.g. `privacyplease up --passphrase-file F`;")
    out.print("then run `privacyplease verify`, and repeat each `privacyplease keys destroy` since the backup")
