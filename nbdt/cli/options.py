"""How commands are declared: groups that import a command when it runs, and their options."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from nbdt.hierarchy.induce import LINKAGES


def option(spec: str, help_text: str, *, shown: str | bool = True, **more: Any) -> Any:
    """An option: its names and what it takes, such as ``"--output -o FILE"``.

    Args:
        spec: the names, then what help calls the value; a switch takes none.
        help_text: what it does.
        shown: what help gives as the default, where the real one says little.
        **more: as for `typer.Option`.
    """
    words = spec.split()
    names = [word for word in words if word.startswith("-")]
    metavar = " ".join(words[len(names) :])
    return typer.Option(*names, metavar=metavar, help=help_text, show_default=shown, **more)


def argument(name: str, help_text: str, *, shown: str | bool = True) -> Any:
    """An argument, called by this name in help."""
    return typer.Argument(metavar=name, help=help_text, show_default=shown)


LIST_OF_CLASSES = "a file with a name a line, a bundled data set, or a number"

JsonOption = Annotated[bool, option("--json", "Print JSON, for programs.")]
MaxLinesOption = Annotated[
    int, option("--max-lines N", "How many lines to draw at most; 0 for all.", min=0)
]
OutputOption = Annotated[
    str | None, option("--output -o FILE", "Write it to this file, .json or .nwk.")
]
ClassesOption = Annotated[str | None, option("--classes LIST", f"The classes: {LIST_OF_CLASSES}.")]
LinkageOption = Annotated[
    str | None,
    option(
        "--linkage NAME",
        f"How clusters are joined: {', '.join(LINKAGES)}.",
        shown="ward",
        autocompletion=lambda: list(LINKAGES),
    ),
]
BranchingOption = Annotated[
    int | None, option("--branching K", "The most children of a node.", shown="2")
]
NoNormalizeOption = Annotated[
    bool, option("--no-normalize", "Keep the lengths of the rows as they are.")
]
MetricOption = Annotated[
    str | None,
    option("--metric NAME", "How far apart classes are: euclidean or cosine.", shown="euclidean"),
]


def given(**options: Any) -> dict[str, Any]:
    """The options that the user set; the library's own defaults do for the others."""
    return {name: value for name, value in options.items() if value is not None}


def metric_option(help_text: str) -> Any:
    """The option --metric."""
    return option("--metric NAME", help_text, shown="euclidean")


def rule_option(shown: str) -> Any:
    """The option --rule."""
    return option("--rule RULE", "How decisions become an answer: soft or hard.", shown=shown)


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
