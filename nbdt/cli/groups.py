"""Groups of commands, each of whose modules is imported when its command is run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class LazyGroup(TyperGroup):
    """A group that knows its commands by name; a list of them costs no import.

    Subclasses set `modules`; each module holds its commands, or a group of commands, as ``app``.
    """

    modules: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By name of the command: the module, and what to say of the command in a list."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, summary) in self.modules.items():
            self.add_command(TyperCommand(name, help=summary), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that the arguments name, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in self.modules:
            module = import_module(self.modules[name][0])
            found = get_command(module.app)
            command = getattr(found, "commands", {}).get(name, found)
            command.name = name
            _tidy_help(command, ctx)
        return name, command, rest

    def get_help(self, ctx: Any) -> str:
        """What ``--help`` prints."""
        _tidy_help(self, ctx)
        return super().get_help(ctx)


def show_help(ctx: typer.Context) -> None:
    """What a group does when no command is given: it lists its commands."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(2)


def _tidy_help(command: Any, ctx: Any) -> None:
    """Lets paragraphs fill their lines, and switches show no type."""
    paragraphs = (command.help or "").split("\n\n")
    command.help = "\n\n".join(" ".join(text.split()) for text in paragraphs)
    for parameter in command.get_params(ctx):
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
