"""How commands declare their options, and the options that several of them share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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


LIST_OF_CLASSES = (
    "a file (a name per line, CSV or JSON), a folder of class folders, names with commas between, "
    "a bundled data set, or a number"
)

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
