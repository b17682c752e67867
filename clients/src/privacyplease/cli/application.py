"""Puts the command line together: global options, the commands here, and those of other distributions.

A distribution adds commands by entry points of the group `privacyplease.commands`. Each names a `LazyCommand` in a
module that is cheap to import; the entry point's name is the command's.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from privacyplease.cli.commands import COMMANDS
from privacyplease.cli.connection import read_connection
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import failure_of
from privacyplease.cli.lazy_command import LazyCommand
from privacyplease.cli.output import screen

PLUGINS = "privacyplease.commands"

_GLOBAL_OPTIONS = ("--proxy", "--home", "--certificates")
_GLOBAL_FLAGS = ("--insecure",)
_EPILOG = (
    "The global options may also follow the command. `privacyplease COMMAND --help` shows what a command accepts, with "
    "an example. docs/COMMANDS.md lists the exit codes."
)


class _CommandLine(TyperGroup):
    """The group of all commands. Accepts the global options anywhere, so that `up --home DIR` is `--home DIR up`."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 (typer's arguments)
        super().__init__(**attributes)
        self.commands = dict(COMMANDS)
        self._plugins_added = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 (typer's context class is private)
        self._add_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        if cmd_name not in self.commands:
            self._add_plugins()
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        return super().parse_args(ctx, hoisted(args))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Runs the command. That the reader of its output stops reading, as `head` does, is no fault."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in its buffer goes there
            return ExitCode.DONE
        return code

    def _add_plugins(self) -> None:
        """Reading the metadata of all distributions takes a while: done only if a command is not one of ours."""
        if self._plugins_added:
            return
        self._plugins_added = True
        from importlib.metadata import entry_points

        for plugin in sorted(entry_points(group=PLUGINS), key=lambda plugin: plugin.name):
            try:
                command = plugin.load()
                if not isinstance(command, LazyCommand):
                    raise TypeError(f"expected {plugin.value} to be a LazyCommand, got {type(command).__name__}")
            except (ImportError, AttributeError, TypeError) as error:
                screen.note(f"warning: the command `{plugin.name}` cannot be loaded: {error}")
            else:
                self.commands[plugin.name] = command


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        screen.out().print(f"privacyplease {version('privacyplease')}")
        raise typer.Exit


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
            envvar="PRIVACYPLEASE_PROXY",
            metavar="HOST:PORT",
            help="Address of the proxy; default: the one `up` started.",
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
            help="Folder of tls.crt, tls.key and ca.crt to show the proxy; default: the operator's in the home.",
        ),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Plaintext; allowed only on loopback.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Ask who was where, and how many, of records encrypted on a machine that you need not trust."""
    context.obj = read_connection(proxy, home, certificates, insecure)


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Moves the global options to the front.

    >>> hoisted(["up", "--home", "/tmp/h", "--detach"])
    ['--home', '/tmp/h', 'up', '--detach']
    """
    first, rest = [], []
    remaining = iter(arguments)
    for argument in remaining:
        value = next(remaining, None) if argument in _GLOBAL_OPTIONS else None
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
        What to exit with: an `ExitCode`.
    """
    try:
        return int(app(list(arguments) or ["--help"], prog_name="privacyplease", standalone_mode=False) or 0)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        screen.print_failure(failure.message, failure.hint)
        return failure.code
