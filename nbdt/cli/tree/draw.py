"""The commands `nbdt tree draw` and `nbdt tree compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from nbdt.cli.inputs import read_tree
from nbdt.cli.options import JsonOption, MaxLinesOption, argument, option
from nbdt.cli.output import say, say_json, working
from nbdt.errors import InputError
from nbdt.files import replacing, write_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.compare import compare as compare_trees
from nbdt.view import render, to_graphviz, to_html, to_svg
from nbdt.view.folding import Folded
from nbdt.view.svg.tanglegram import tanglegram_svg

app = typer.Typer(add_completion=False)


class Orientation(StrEnum):
    """Which way a tree grows."""

    horizontal = "horizontal"
    vertical = "vertical"


@app.command(epilog="Examples: nbdt tree draw my-model -o tree.html\n\n"
             "nbdt tree draw cifar10/wordnet -o tree.svg")  # fmt: skip
def draw(
    tree: Annotated[str, argument("TREE", "A file, a model's folder, or a bundled tree.")],
    output: Annotated[
        str,
        option(
            "--output -o FILE",
            "The file: .html for an interactive page; .svg; or .dot, .png, .pdf by Graphviz.",
        ),
    ],
    orientation: Annotated[
        Orientation | None,
        option(
            "--orientation WAY",
            "Which way a picture grows: horizontal or vertical.",
            shown="horizontal",
        ),
    ] = None,
    heights: Annotated[
        bool, option("--heights", "In an .svg, place nodes at the heights of their merges.")
    ] = False,
    whole: Annotated[
        bool, option("--whole", "Draw every node of a large tree in a picture.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Draw a tree as a picture or an interactive page."""
    ending = Path(output).suffix.lower()
    if heights and ending != ".svg":
        raise InputError("--heights needs an .svg file.")
    if ending == ".html" and (whole or orientation is not None):
        raise InputError(
            "--orientation and --whole apply to pictures; an .html page shows every node anyway."
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


@app.command(epilog="Examples: nbdt tree compare cifar10/resnet20 cifar10/wordnet\n\n"
             "nbdt tree compare my-model taxonomy.json -o both.svg")  # fmt: skip
def compare(
    tree: Annotated[str, argument("TREE", "A bundled tree, a file, or a model's folder.")],
    other: Annotated[str, argument("OTHER", "Another tree over the same classes.")],
    max_lines: MaxLinesOption = 60,
    output: Annotated[
        str | None,
        option("--output -o FILE", "Draw both trees facing each other in this file, .svg."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure how far apart two trees over the same classes are, and show what they share.

    Draws the first tree; = marks groups of classes that the other tree also has, with their names
    there.
    """
    if output is not None and Path(output).suffix.lower() != ".svg":
        raise InputError(f"{output}: comparisons are drawn as .svg files.")
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
