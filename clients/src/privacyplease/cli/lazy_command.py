"""A command whose module is imported when it is called: until then its name and its line of the help are enough."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from privacyplease.cli.failures import CommandError


class LazyCommand(TyperCommand):
    """Stands in for a command, or for a group of commands, until it is called.

    Args:
        target: Where it is, as `package.module:name`: a function, or a `typer.Typer`.
        help: Its line in the help of `privacyplease`.
    """

    def __init__(self, target: str, help: str) -> None:  # noqa: A002 (as typer names it)
        super().__init__(None, help=help, rich_markup_mode=None)
        self.target = target

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 (typer's classes are private)
        """Loads the command and parses its arguments. The context then belongs to the command itself."""
        return self.load(info_name or "").make_context(info_name, args, parent, **extra)

    def load(self, name: str) -> Any:  # noqa: ANN401
        """Imports the command.

        Raises:
            CommandError: Its module cannot be imported.
        """
        module, _, attribute = self.target.partition(":")
        try:
            command = getattr(import_module(module), attribute)
        except ImportError as error:
            raise CommandError(f"the command `{name}` cannot be loaded: {error}") from error
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
        return typer.main.get_group(app).commands[name]
