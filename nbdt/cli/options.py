"""Options that several commands have in common."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from nbdt.hierarchy.induce import LINKAGES


class Rule(StrEnum):
    """How decisions become an answer."""

    soft = "soft"
    hard = "hard"


class Score(StrEnum):
    """What a node is worth."""

    logsumexp = "logsumexp"
    mean = "mean"


LIST_OF_CLASSES = "a file with a name a line, a bundled data set, or a number"

JsonOption = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON, for programs.")]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write it to this file, .json or .nwk."),
]
ClassesOption = Annotated[
    str | None,
    typer.Option("--classes", metavar="LIST", help=f"The classes: {LIST_OF_CLASSES}."),
]
LinkageOption = Annotated[
    str | None,
    typer.Option(
        "--linkage",
        metavar="NAME",
        autocompletion=lambda: list(LINKAGES),
        help=f"How clusters are joined: {', '.join(LINKAGES)}.",
        show_default="ward",
    ),
]
BranchingOption = Annotated[
    int | None,
    typer.Option("--branching", metavar="K", help="The most children of a node.", show_default="2"),
]
NoNormalizeOption = Annotated[
    bool,
    typer.Option("--no-normalize", metavar="", help="Leave the rows' lengths as they are."),
]


def given(**options: Any) -> dict[str, Any]:
    """The options that the user set; the library's own defaults do for the others."""
    return {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in options.items()
        if value is not None
    }


def metric_option(help_text: str) -> Any:
    """The option --metric."""
    return typer.Option("--metric", metavar="NAME", help=help_text, show_default="euclidean")


def rule_option(show_default: str) -> Any:
    """The option --rule."""
    return typer.Option(
        "--rule",
        metavar="RULE",
        help="How decisions become an answer: soft or hard.",
        show_default=show_default,
    )
