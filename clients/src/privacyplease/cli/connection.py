"""Which proxy a command talks to: the one given, or else the one that `up` started in the home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.home import InstallationHome, default_home
from privacyplease.transport.address import checked_address

if TYPE_CHECKING:
    from privacyplease.client import Client


@dataclass(frozen=True)
class ConnectionOptions:
    """The global options.

    Attributes:
        proxy: The address given, if any.
        home: Where `up` keeps what it starts.
        certificates: The folder of the certificate given, if any.
        insecure: Whether --insecure was given.
    """

    proxy: str | None
    home: InstallationHome
    certificates: Path | None = None
    insecure: bool = False

    def address(self) -> str:
        """The proxy's host:port.

        Raises:
            CommandError: None was given, and none was started.
        """
        if self.proxy:
            return self.proxy
        running = self.home.running()
        if running is None:
            raise CommandError(
                f"no proxy is known: none was started in {self.home.path}",
                f"start one with `{self.home.command('up')}`, or give its address with --proxy HOST:PORT",
                ExitCode.TRY_AGAIN,
            )
        return running.proxy.address

    def plaintext(self) -> bool:
        """Whether to talk to the proxy in plaintext: --insecure was given, or `up --insecure` started it."""
        running = None if self.proxy else self.home.running()
        return self.insecure or (running is not None and running.insecure)

    def certificate(self) -> Path | None:
        """The folder of the certificate to show the proxy; None for plaintext.

        Raises:
            CommandError: None was given, and the home has none.
        """
        if self.plaintext():
            return None
        folder = self.certificates or self.home.operator_certificate
        if not folder.is_dir():
            raise CommandError(
                f"no certificate to show the proxy: expected one in {folder}",
                "give the folder of one with --certificates DIR; `privacyplease certs issue NAME` makes one",
            )
        return folder

    def storage_certificate(self) -> Path | None:
        """The folder of the certificate that the home's storage server accepts; None for plaintext."""
        return None if self.plaintext() else self.home.proxy_to_storage_certificate

    def client(self, **limits: float) -> Client:
        """A client of the proxy, to be used as a context manager.

        Args:
            limits: Timeouts that differ from the client's own.
        """
        from privacyplease.client import Client

        return Client(self.address(), certificates=self.certificate(), insecure=self.plaintext(), **limits)


def read_connection(
    proxy: str | None, home: Path | None, certificates: Path | None, insecure: bool
) -> ConnectionOptions:
    """Reads the global options.

    Raises:
        typer.BadParameter: `proxy` is not an address.
    """
    try:
        proxy = checked_address(proxy) if proxy else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--proxy") from None
    return ConnectionOptions(proxy, InstallationHome((home or default_home()).resolve()), certificates, insecure)


def connection_options(context: typer.Context) -> ConnectionOptions:
    """The global options of the running command."""
    options = context.find_object(ConnectionOptions)
    if options is None:
        raise TypeError("expected a command below `privacyplease`, whose options name the proxy")
    return options


def connect(context: typer.Context) -> Client:
    """A client of the proxy that the global options name, to be used as a context manager."""
    return connection_options(context).client()
