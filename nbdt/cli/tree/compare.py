"""`nbdt tree compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from nbdt.cli.inputs import read_tree
from nbdt.cli.options import JsonOption
from nbdt.cli.output import say, say_json
from nbdt.hierarchy.compare import compare as compare_trees

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt tree compare cifar10/resnet20 cifar10/wordnet")
def compare(
    tree: Annotated[
        str, typer.Argument(metavar="TREE", help="A bundled tree, a file, or a model's folder.")
    ],
    other: Annotated[
        str, typer.Argument(metavar="OTHER", help="Another tree over the same classes.")
    ],
    max_lines: Annotated[
        int,
        typer.Option(
            "--max-lines", min=0, metavar="N", help="How many lines to draw at most; 0 for all."
        ),
    ] = 60,
    json: JsonOption = False,
) -> None:
    """Measure how far apart two trees over the same classes are, and show what they share.

    The first tree is drawn; a group of classes that the other tree has too is marked with = and
    what it is called there.
    """
    mine, theirs = read_tree(tree), read_tree(other)
    found = compare_trees(mine, theirs)
    if json:
        say_json({"tree": tree, "other": other, **found.to_dict()})
        return
    partner = dict(found.shared) | {mine.root: theirs.root}
    labels = {
        node: f"{mine.name(node)} = {theirs.name(partner[node])}"
        for node in mine.inner
        if node in partner
    }
    say(mine.to_text(max_lines or len(mine), labels))
    say("")
    say(str(found))
