"""`nbdt tree convert`."""

from __future__ import annotations

from typing import Annotated

import typer

from nbdt.cli.options import LIST_OF_CLASSES, JsonOption
from nbdt.cli.tree.files import read_any_tree, tell_of, write_any_tree
from nbdt.hierarchy.formats.base import written_formats

_FORMATS = [kind.name for kind in written_formats()]

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: nbdt tree convert graph-induced-ResNet18.json tree.json --wnids CIFAR10.txt"
)
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="TREE",
            help="A file (.json: nbdt's own, networkx's node-link data, or a graph of the 2020 "
            "release; .nwk: Newick), a bundled tree, or a model's folder.",
        ),
    ],
    output: Annotated[
        str, typer.Argument(metavar="FILE", help="The file to write: .json, or .nwk for Newick.")
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"The format to write, where the file's name does not say it: "
            f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}.",
        ),
    ] = None,
    wnids: Annotated[
        str | None,
        typer.Option(
            "--wnids",
            metavar="LIST",
            help="The wnids of a 2020 graph in the order of the classes: a file with one a line, "
            "or a bundled data set.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LIST",
            help=f"The order of the classes, where the file does not say it: {LIST_OF_CLASSES}.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert a tree from one file format to another."""
    tree = read_any_tree(source, classes, wnids)
    write_any_tree(tree, output, to)
    tell_of(tree, output, json)
