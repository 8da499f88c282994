"""`nbdt tree build …`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from nbdt.cli.groups import show_help
from nbdt.cli.inputs import read_class_table, read_classes, read_rows, rows_in_order
from nbdt.cli.options import (
    LIST_OF_CLASSES,
    BranchingOption,
    ClassesOption,
    JsonOption,
    LinkageOption,
    NoNormalizeOption,
    OutputOption,
    argument,
    given,
    metric_option,
    option,
)
from nbdt.cli.output import say, say_json, working
from nbdt.cli.tree.files import tell_of, write_any_tree
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.induce import induce
from nbdt.hierarchy.shapes import balanced, flat, random
from nbdt.hierarchy.support import resampled_trees, support_labels, with_support
from nbdt.hierarchy.taxonomy import from_parents, from_wordnet, read_parents
from nbdt.hierarchy.wordnet import WordNet


class Shape(StrEnum):
    """Trees that ignore what their classes are."""

    balanced = "balanced"
    random = "random"
    flat = "flat"


SHAPES: dict[Shape, tuple[Callable[..., Hierarchy], set[str]]] = {
    Shape.balanced: (balanced, {"branching"}),
    Shape.random: (random, {"branching", "seed"}),
    Shape.flat: (flat, set()),
}
"""How each shape is made, and which options it takes."""

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def build(ctx: typer.Context) -> None:
    """Build a tree from rows, WordNet, a table or a shape.

    Draws the tree, or writes it to --output. To build one from a network, use nbdt convert.
    """
    show_help(ctx)


@app.command(epilog="Example: nbdt tree build rows weights.npy --classes cifar10 -o tree.json")
def rows(
    source: Annotated[
        str,
        argument(
            "FILE",
            "One row of numbers per class: an array in .npy, or a CSV file, in which the name of "
            "the class may come first.",
        ),
    ],
    classes: ClassesOption = None,
    linkage: LinkageOption = None,
    metric: Annotated[
        str | None,
        metric_option(
            "How far apart classes are: euclidean or cosine; for a matrix of distances or "
            "confusions, precomputed or confusion."
        ),
    ] = None,
    branching: BranchingOption = None,
    no_normalize: NoNormalizeOption = False,
    support: Annotated[
        int | None,
        option(
            "--support N",
            "Report how often each group recurs in N trees of these rows with resampled columns.",
            min=1,
        ),
    ] = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Cluster the rows of an array: weights, features, embeddings, a confusion matrix."""
    named, array = read_rows(source)
    names = named
    if classes is not None:
        table = read_class_table(classes)
        names = [row.name for row in table]
        array = array if named is None else rows_in_order(array, named, table, source)
    options = given(linkage=linkage, metric=metric, branching=branching)
    options["normalize"] = not no_normalize
    tree = induce(array, names, **options)
    if support is not None:
        with working(f"Building {support} trees …"):
            tree = with_support(tree, resampled_trees(array, names, count=support, **options))
    _finish(tree, output, json)


@app.command(epilog="Example: nbdt tree build wordnet nouns.txt --wordnet /usr/share/wordnet")
def wordnet(
    source: Annotated[
        str,
        argument(
            "LIST",
            "The classes as nouns or wnids: a file with one per line, a CSV with the columns name"
            " and wnid, or a bundled data set.",
        ),
    ],
    folder: Annotated[
        str | None,
        option("--wordnet FOLDER", "WordNet 3.0's dict folder, if it isn't in its usual place."),
    ] = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Build the tree of WordNet's concepts over the classes."""
    table = read_class_table(source)
    with_wnids = all(row.wnid for row in table)
    names = [row.name for row in table]
    keys = [row.wnid for row in table] if with_wnids else names
    tree = from_wordnet(keys, WordNet(folder), names if with_wnids else None)
    _finish(tree, output, json)


@app.command(epilog="Example: nbdt tree build parents kinds.csv -o tree.json")
def parents(
    source: Annotated[str, argument("FILE", "A CSV file with the columns child and parent.")],
    classes: ClassesOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Build a tree from a table of things and their parents."""
    names = None if classes is None else read_classes(classes)
    _finish(from_parents(read_parents(source), names), output, json)


@app.command(epilog="Example: nbdt tree build shape random --classes cifar10 --seed 1")
def shape(
    kind: Annotated[Shape, argument("SHAPE", "balanced, random or flat.")],
    classes: Annotated[str, option("--classes LIST", f"The classes: {LIST_OF_CLASSES}.")],
    branching: BranchingOption = None,
    seed: Annotated[int | None, option("--seed N", "The seed of a random tree.", shown="0")] = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Make a tree that ignores what its classes are, as a baseline."""
    names = read_classes(classes)
    options = given(branching=branching, seed=seed)
    make, takes = SHAPES[kind]
    for name in options.keys() - takes:
        raise InputError(f"a {kind} tree takes no {name}; leave out --{name}.")
    _finish(make(names, **options), output, json)


def _finish(tree: Hierarchy, output: str | None, json: bool) -> None:
    if output is not None:
        write_any_tree(tree, output)
        tell_of(tree, output, json)
    elif json:
        say_json(to_dict(tree))
    else:
        say(tree.to_text(labels=support_labels(tree)))
