"""`nbdt tree draw`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from nbdt.cli.inputs import read_tree
from nbdt.cli.options import JsonOption
from nbdt.cli.output import say, say_json, working
from nbdt.errors import InputError
from nbdt.files import replacing
from nbdt.hierarchy import Hierarchy
from nbdt.view import render, to_graphviz, to_html, to_svg
from nbdt.view.folding import Folded

app = typer.Typer(add_completion=False)


class Orientation(StrEnum):
    """Which way a tree grows."""

    horizontal = "horizontal"
    vertical = "vertical"


@app.command(epilog="Examples: nbdt tree draw my-model -o tree.html\n\n"
             "nbdt tree draw cifar10/wordnet -o tree.svg")  # fmt: skip
def draw(
    tree: Annotated[
        str, typer.Argument(metavar="TREE", help="A file, a model's folder, or a bundled tree.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture: .html to look around in; .svg; or .dot, .png, .pdf by Graphviz.",
        ),
    ],
    orientation: Annotated[
        Orientation | None,
        typer.Option(
            "--orientation",
            metavar="WAY",
            help="Which way a picture grows: horizontal or vertical.",
            show_default="horizontal",
        ),
    ] = None,
    heights: Annotated[
        bool,
        typer.Option(
            "--heights", metavar="", help="In an .svg, place nodes as high as they were merged."
        ),
    ] = False,
    whole: Annotated[
        bool,
        typer.Option("--whole", metavar="", help="Draw every node of a large tree in a picture."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Draw a tree as a picture, or as a page to look around in."""
    ending = Path(output).suffix.lower()
    if heights and ending != ".svg":
        raise InputError("--heights goes with an .svg file.")
    if ending == ".html" and (whole or orientation is not None):
        raise InputError(
            "--orientation and --whole go with pictures; in an .html page every node can be seen."
        )
    folded: Folded = None if whole else "auto"
    way: Literal["horizontal", "vertical"] = orientation.value if orientation else "horizontal"

    def graphviz(hierarchy: Hierarchy) -> str:
        source: str = to_graphviz(hierarchy, orientation=way, folded=folded).source
        return source

    def picture(hierarchy: Hierarchy) -> bytes:
        graph = to_graphviz(hierarchy, orientation=way, folded=folded)
        return render(graph, "pdf" if ending == ".pdf" else "png")

    drawn: Mapping[str, Callable[[Hierarchy], str | bytes]] = {
        ".html": to_html,
        ".svg": lambda hierarchy: to_svg(
            hierarchy, orientation=way, heights=heights, folded=folded
        ),
        ".dot": graphviz,
        ".png": picture,
        ".pdf": picture,
    }
    if ending not in drawn:
        raise InputError(
            f"{output}: a tree is drawn as {', '.join(drawn)}; got {ending or 'none'}."
        )
    with working("Drawing the tree …"):
        result = drawn[ending](read_tree(tree))
    with replacing(output) as file:
        file.write(result.encode() if isinstance(result, str) else result)
    if json:
        say_json({"output": output})
    else:
        say(f"Wrote {output}.")
