"""`nbdt tree show`."""

from __future__ import annotations

from typing import Annotated

import typer

from nbdt.cli.inputs import node_of, read_tree
from nbdt.cli.options import JsonOption
from nbdt.cli.output import say, say_json
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.support import support_labels

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt tree show imagenet1k/wordnet --node dog")
def show(
    tree: Annotated[
        str, typer.Argument(metavar="TREE", help="A bundled tree, a file, or a model's folder.")
    ],
    node: Annotated[
        str | None,
        typer.Option(
            "--node", metavar="NODE", help="Only what is under the node of this name or id."
        ),
    ] = None,
    max_lines: Annotated[
        int,
        typer.Option(
            "--max-lines", min=0, metavar="N", help="How many lines to draw at most; 0 for all."
        ),
    ] = 60,
    ids: Annotated[
        bool, typer.Option("--ids", metavar="", help="Draw the nodes' ids too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Draw a tree as text."""
    whole = read_tree(tree)
    top = whole.root if node is None else node_of(whole, node)
    part, old = _part(whole, top)
    if json:
        say_json(to_dict(part))
        return
    named = support_labels(whole)
    labels = {
        new: named.get(node, whole.name(node)) + (f" [{node}]" if ids else "")
        for new, node in enumerate(old)
    }
    say(part.to_text(max_lines or len(part), labels))


def _part(tree: Hierarchy, top: int) -> tuple[Hierarchy, list[int]]:
    """The tree under a node, and what its nodes' ids are in the whole tree."""
    if top == tree.root:
        return tree, list(range(len(tree)))
    return tree.subtree(top), [*sorted(set(tree.preorder(top)) - {top}), top]
