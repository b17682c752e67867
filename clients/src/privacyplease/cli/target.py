"""Which proxy a command talks to: the one given, or else the one that `up` started in the home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from privacyplease.cli.exits import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.home import Home

if TYPE_CHECKING:
    from privacyplease.client import Client


@dataclass(frozen=True)
class Target:
    """The global options.

    Attributes:
        proxy: The address given, if any.
        home: Where `up` keeps what it starts.
    """

    proxy: str | None
    home: Home

    def address(self) -> str:
        """The proxy's host:port.

        Raises:
            CommandError: None is given and none was started.
        """
        if self.proxy:
            return self.proxy
        running = self.home.running()
        if running is None:
            raise CommandError(
                f"no proxy is known: none was started in {self.home.path}",
                "start one with `privacyplease up`, or give its address with --proxy HOST:PORT",
                ExitCode.TRY_AGAIN,
            )
        return running.proxy.address


def target(context: typer.Context) -> Target:
    """The global options of the command that runs."""
    found = context.find_object(Target)
    if found is None:
        raise TypeError("expected a command below `privacyplease`, whose options name the proxy")
    return found


def connect(context: typer.Context) -> Client:
    """A client of the proxy that the command is to ask. It closes as a context manager."""
    from privacyplease.client import Client

    return Client(target(context).address())
