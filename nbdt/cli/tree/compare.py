"""`nbdt tree compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nbdt.cli.inputs import read_tree
from nbdt.cli.options import JsonOption
from nbdt.cli.output import say, say_json
from nbdt.errors import InputError
from nbdt.files import write_text
from nbdt.hierarchy.compare import compare as compare_trees
from nbdt.view.svg.tanglegram import tanglegram_svg

app = typer.Typer(add_completion=False)


@app.command(epilog="Examples: nbdt tree compare cifar10/resnet20 cifar10/wordnet\n\n"
             "nbdt tree compare my-model taxonomy.json -o both.svg")  # fmt: skip
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
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Draw both trees facing each other in this file, .svg.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure how far apart two trees over the same classes are, and show what they share.

    The first tree is drawn; a group of classes that the other tree has too is marked with = and
    what it is called there.
    """
    if output is not None and Path(output).suffix.lower() != ".svg":
        raise InputError(f"{output}: both trees are drawn in a file that ends in .svg.")
    mine, theirs = read_tree(tree), read_tree(other)
    found = compare_trees(mine, theirs)
    if output is not None:
        write_text(output, tanglegram_svg(mine, theirs, titles=(tree, other)))
    if json:
        written = {} if output is None else {"output": output}
        say_json({"tree": tree, "other": other, **found.to_dict(), **written})
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
    if output is not None:
        say(f"\nWrote {output}.")
