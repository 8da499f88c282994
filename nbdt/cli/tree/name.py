"""`nbdt tree name`."""

from __future__ import annotations

from typing import Annotated

import typer

from nbdt.cli.inputs import node_of, read_tree
from nbdt.cli.options import JsonOption
from nbdt.cli.output import note
from nbdt.cli.tree.files import tell_of
from nbdt.cli.tree.keep import keep_tree
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import rename
from nbdt.hierarchy.lookup import Node, quoted
from nbdt.hierarchy.naming import name_by_leaves, name_by_taxonomy

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt tree name my-model --node 14 --to 'striped animal'")
def name(
    source: Annotated[
        str, typer.Argument(metavar="TREE", help="A file, a model's folder, or a bundled tree.")
    ],
    taxonomy: Annotated[
        str | None,
        typer.Option(
            "--taxonomy",
            metavar="TREE",
            help="Name each inner node as this tree calls its classes.",
        ),
    ] = None,
    by_leaves: Annotated[
        bool,
        typer.Option(
            "--by-leaves", metavar="", help="Name each inner node by some of its classes."
        ),
    ] = False,
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NODE", help="Rename the node of this name or id."),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="What to call that node.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write the tree.",
            show_default="where it is",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Name a tree's inner nodes, or rename one node.

    Names given by hand stay, but for that of --node. A model's folder and a file are changed in
    place, unless --output says otherwise.
    """
    if [taxonomy is not None, by_leaves, node is not None].count(True) != 1:
        raise InputError("give one of --taxonomy TREE, --by-leaves, and --node NODE --to NAME.")
    if (node is None) != (to is None):
        raise InputError("--node says which node and --to what to call it; give both or neither.")
    tree = read_tree(source)
    if node is not None and to is not None:
        renamed = node_of(tree, node)
        named = rename(tree, {renamed: to})
        if tree.is_leaf(renamed):
            note("that is a class: data, calibrations and other trees know it by its old name.")
    else:
        named = (
            name_by_leaves(tree)
            if taxonomy is None
            else name_by_taxonomy(tree, read_tree(taxonomy))
        )
        kept = _names_by_hand(tree)
        named = rename(named, kept)
        if kept:
            note(f"kept what was named by hand: {quoted(list(kept.values()))}.")
    tell_of(named, keep_tree(named, source, output), json)


def _names_by_hand(tree: Hierarchy) -> dict[Node, str]:
    return {
        node: tree.names[node]
        for node in tree.inner
        if tree.attributes(node).get("name_source") == "hand"
    }
