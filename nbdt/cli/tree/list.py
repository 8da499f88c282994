"""`nbdt tree list`."""

from __future__ import annotations

import typer

from nbdt.cli.options import JsonOption
from nbdt.cli.output import say_json, say_table
from nbdt.cli.tree.files import size_of
from nbdt.hierarchy.library import list_hierarchies, load_hierarchy

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: nbdt tree list")
def list_trees(json: JsonOption = False) -> None:
    """List the trees that come with nbdt.

    Wherever a command takes a TREE, it takes one of these names.
    """
    sizes = {name: size_of(load_hierarchy(name)) for name in list_hierarchies()}
    if json:
        say_json([{"name": name, **size} for name, size in sizes.items()])
        return
    rows = [[name, *(f"{number:,}" for number in size.values())] for name, size in sizes.items()]
    say_table(["tree", "classes", "nodes", "depth"], rows)
