"""The commands `nbdt tree …`; only those that need a model's weights or answers load one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import typer

from nbdt.cli.groups import LazyGroup, show_help


class TreeCommands(LazyGroup):
    """The commands on trees."""

    modules: ClassVar[Mapping[str, tuple[str, str]]] = {
        "list": ("nbdt.cli.tree.files", "List the trees that come with nbdt."),
        "show": ("nbdt.cli.tree.files", "Draw a tree as text."),
        "draw": ("nbdt.cli.tree.draw", "Draw a tree as a picture or an interactive page."),
        "build": ("nbdt.cli.tree.build", "Build a tree from rows, WordNet, a table or a shape."),
        "name": ("nbdt.cli.tree.files", "Name a tree's inner nodes, or rename one node."),
        "compare": (
            "nbdt.cli.tree.draw",
            "Measure how far apart two trees over the same classes are, and show what they share.",
        ),
        "support": (
            "nbdt.cli.tree.model",
            "Measure how often each group of a tree recurs when the tree is rebuilt.",
        ),
        "try": (
            "nbdt.cli.tree.model",
            "Try edits of a model's tree on labeled samples, and see how they change its accuracy.",
        ),
        "convert": ("nbdt.cli.tree.files", "Convert a tree from one file format to another."),
    }


app = typer.Typer(cls=TreeCommands, add_completion=False)


@app.callback(invoke_without_command=True)
def tree(ctx: typer.Context) -> None:
    """Show, draw, build, name, compare, try and convert trees of classes."""
    show_help(ctx)
