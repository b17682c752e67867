"""Puts the command line together: global options, the commands here, and those of other distributions.

A distribution adds commands by entry points of the group `privacyplease.commands`. Each names a `typer.Typer`, which
becomes a group of commands under the entry point's name, or a function, which becomes a command of that name.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from privacyplease.cli import exits, screen
from privacyplease.cli.commands import (
    audit,
    backup,
    certs,
    compact,
    count,
    dashboard,
    down,
    dwell,
    explain,
    floors,
    keys,
    locations,
    occupancy,
    places,
    plan,
    presence,
    query,
    stations,
    status,
    up,
    verify,
    watch,
    whoami,
)
from privacyplease.cli.failures import failure_of
from privacyplease.cli.target import target_of

PLUGINS = "privacyplease.commands"

_GLOBAL_OPTIONS = ("--proxy", "--home", "--certificates")
_GLOBAL_FLAGS = ("--insecure",)
_EPILOG = (
    "These options may also stand behind the command. Exit codes: 0 done, 1 fault, 2 wrong usage, "
    "3 refused, 4 nobody answers, 5 the storage server cannot be trusted, 130 interrupted."
)


class _CommandLine(TyperGroup):
    """Takes the global options wherever they stand in the line, so that `up --home DIR` is `--home DIR up`.

    Whoever reads the answer may also stop reading, as `head` does: that is no fault, and there is nobody to tell.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (typer's context class is private)
        return super().parse_args(ctx, hoisted(args))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in its buffer goes there
            return exits.ExitCode.DONE
        return done


app = typer.Typer(
    name="privacyplease",
    cls=_CommandLine,
    rich_markup_mode=None,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    context: typer.Context,
    proxy: Annotated[
        str | None,
        typer.Option(
            envvar="PRIVACYPLEASE_PROXY", metavar="HOST:PORT", help="The proxy to ask; else the one started by `up`."
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(envvar="PRIVACYPLEASE_HOME", metavar="DIR", help="Where `up` keeps keys, store and logs."),
    ] = None,
    certificates: Annotated[
        Path | None,
        typer.Option(
            envvar="PRIVACYPLEASE_CERTIFICATES",
            metavar="DIR",
            help="Holds tls.crt, tls.key and ca.crt to show the proxy; else those of the home's operator.",
        ),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Plaintext, on this machine alone.")] = False,
) -> None:
    """Ask who was where, and how many, of records that lie encrypted on a machine nobody has to trust."""
    context.obj = target_of(proxy, home, certificates, insecure)


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Moves the global options to the front.

    >>> hoisted(["up", "--home", "/tmp/h", "--detach"])
    ['--home', '/tmp/h', 'up', '--detach']
    """
    first, rest = [], []
    left = iter(arguments)
    for argument in left:
        value = next(left, None) if argument in _GLOBAL_OPTIONS else None
        if value is not None:
            first += [argument, value]
        elif argument in _GLOBAL_FLAGS or argument.startswith(tuple(f"{option}=" for option in _GLOBAL_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest


def run(arguments: Sequence[str]) -> int:
    """Runs a command line.

    Returns:
        What to exit with, as `privacyplease.cli.exits` lists it.
    """
    try:
        return int(app(list(arguments) or ["--help"], prog_name="privacyplease", standalone_mode=False) or 0)
    except typer.Abort:
        return exits.ExitCode.INTERRUPTED
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        screen.print_failure(failure.message, failure.hint)
        return failure.code


def _add_plugin(plugin: EntryPoint) -> None:
    try:
        command = plugin.load()
    except ImportError as error:
        screen.note(f"warning: the command `{plugin.name}` does not load: {error}")
        return
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=plugin.name)
    else:
        app.command(plugin.name)(command)


for _command in (
    presence,
    count,
    occupancy,
    places,
    floors,
    locations,
    dwell,
    watch,
    stations,
    query,
    explain,
    up,
    status,
    verify,
    compact,
    keys,
    backup,
    down,
    certs,
    whoami,
    dashboard,
    audit,
    plan,
):
    _command.register(app)
for _plugin in sorted(entry_points(group=PLUGINS), key=lambda plugin: plugin.name):
    _add_plugin(_plugin)
