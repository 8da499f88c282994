"""The commands `nbdt tree list`, `show`, `name` and `convert`, and reading and writing trees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nbdt.cli.inputs import is_model, node_of, read_class_table, read_classes, read_tree
from nbdt.cli.options import LIST_OF_CLASSES, JsonOption, MaxLinesOption, argument, option
from nbdt.cli.output import note, say, say_json, say_table
from nbdt.errors import InputError
from nbdt.files import write_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import rename, reorder
from nbdt.hierarchy.formats import to_dict
from nbdt.hierarchy.formats.registry import suffix_of, written_formats, written_tree
from nbdt.hierarchy.library import list_hierarchies, load_hierarchy, read_hierarchy
from nbdt.hierarchy.lookup import Node, quoted
from nbdt.hierarchy.naming import name_by_leaves, name_by_taxonomy
from nbdt.hierarchy.support import support_labels

_FORMATS = [kind.name for kind in written_formats()]

app = typer.Typer(add_completion=False)


def read_any_tree(source: str, classes: str | None = None, wnids: str | None = None) -> Hierarchy:
    """The tree that a bundled name, a model's folder, or a file of any format stands for.

    `classes` is a list of the classes, which says their order where the file does not; `wnids` the
    list of wnids of a graph of the 2020 release.
    """
    names = None if classes is None else read_classes(classes)
    if is_model(source):
        if wnids is not None:
            raise InputError(f"{source}: this is the folder of a model; leave --wnids out.")
        tree = read_tree(source)
        return tree if names is None else reorder(tree, names)
    order = None
    if wnids is not None:
        order = [row.wnid or row.name for row in read_class_table(wnids)]
    return read_hierarchy(source, names, order)


def write_any_tree(tree: Hierarchy, path: str, name: str | None = None) -> None:
    """Writes a tree to a file, in the format of that name or else of the file's suffix."""
    suffixes = [suffix for kind in written_formats() for suffix in kind.suffixes]
    if name is None and suffix_of(path) not in suffixes:
        known = ", ".join(dict.fromkeys(suffixes))
        raise InputError(f"{path}: the suffix says the format of a tree; it is one of {known}.")
    write_text(path, written_tree(tree, path, name))


def tell_of(tree: Hierarchy, output: str, json: bool) -> None:
    """Reports a written tree and its size."""
    if json:
        say_json({"output": output, **size_of(tree)})
    else:
        say(f"Wrote {output}: {in_words(tree)}.")


def size_of(tree: Hierarchy) -> dict[str, Any]:
    """How large a tree is, as data."""
    return {"classes": tree.num_classes, "nodes": len(tree), "depth": tree.height(tree.root)}


def in_words(tree: Hierarchy) -> str:
    """How large a tree is, in words."""
    return f"{tree.num_classes:,} classes, {len(tree):,} nodes, depth {tree.height(tree.root)}"


def keep_tree(tree: Hierarchy, source: str, output: str | None = None) -> str:
    """Writes a tree to a file, or back to the file or model's folder that it came from.

    Args:
        tree: the tree.
        source: where it came from.
        output: the file to write; None for where it came from.

    Returns:
        Where it was written.

    Raises:
        InputError: it came from no place that can be written to.
    """
    if output is None and is_model(source):
        # Imports torch, which takes seconds and the other commands here do not need.
        from nbdt.pretrained import replace_hierarchy

        replace_hierarchy(source, tree)
        return source
    target = source if output is None else output
    if output is None and not Path(source).is_file():
        raise InputError(f"{source}: bundled trees are read-only; give --output.")
    write_any_tree(tree, target)
    return target


@app.command("list", epilog="Example: nbdt tree list")
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


@app.command(epilog="Example: nbdt tree show imagenet1k/wordnet --node dog")
def show(
    tree: Annotated[str, argument("TREE", "A bundled tree, a file, or a model's folder.")],
    node: Annotated[
        str | None, option("--node NODE", "Only the part under the node with this name or id.")
    ] = None,
    max_lines: MaxLinesOption = 60,
    ids: Annotated[bool, option("--ids", "Also draw the nodes' ids.")] = False,
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


@app.command(epilog="Example: nbdt tree name my-model --node 14 --to 'striped animal'")
def name(
    source: Annotated[str, argument("TREE", "A file, a model's folder, or a bundled tree.")],
    taxonomy: Annotated[
        str | None,
        option("--taxonomy TREE", "Name each inner node after the concepts of this tree."),
    ] = None,
    by_leaves: Annotated[
        bool, option("--by-leaves", "Name each inner node after some of its classes.")
    ] = False,
    node: Annotated[
        str | None, option("--node NODE", "Rename the node of this name or id.")
    ] = None,
    to: Annotated[str | None, option("--to NAME", "What to call that node.")] = None,
    output: Annotated[
        str | None, option("--output -o FILE", "Where to write the tree.", shown="where it is")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Name a tree's inner nodes, or rename one node.

    Names given by hand stay, except for --node. A model's folder or a file is changed in place,
    unless --output names another file.
    """
    if [taxonomy is not None, by_leaves, node is not None].count(True) != 1:
        raise InputError("give one of --taxonomy TREE, --by-leaves, or --node NODE --to NAME.")
    if (node is None) != (to is None):
        raise InputError("--node names the node and --to its new name; give both or neither.")
    tree = read_tree(source)
    if node is not None and to is not None:
        renamed = node_of(tree, node)
        named = rename(tree, {renamed: to})
        if tree.is_leaf(renamed):
            note("this is a class: data, calibrations and other trees still use its old name.")
    else:
        named = (
            name_by_leaves(tree)
            if taxonomy is None
            else name_by_taxonomy(tree, read_tree(taxonomy))
        )
        kept = _names_by_hand(tree)
        named = rename(named, kept)
        if kept:
            note(f"kept names given by hand: {quoted(list(kept.values()))}.")
    tell_of(named, keep_tree(named, source, output), json)


def _names_by_hand(tree: Hierarchy) -> dict[Node, str]:
    return {
        node: tree.names[node]
        for node in tree.inner
        if tree.attributes(node).get("name_source") == "hand"
    }


@app.command(
    epilog="Example: nbdt tree convert graph-induced-ResNet18.json tree.json --wnids CIFAR10.txt"
)
def convert(
    source: Annotated[
        str,
        argument(
            "TREE",
            "A file (.json: nbdt's own, networkx's node-link data, or a graph of the 2020 "
            "release; .nwk: Newick), a bundled tree, or a model's folder.",
        ),
    ],
    output: Annotated[str, argument("FILE", "The file to write: .json, or .nwk for Newick.")],
    to: Annotated[
        str | None,
        option(
            "--to FORMAT",
            "The format to write, where the file's suffix doesn't say it: "
            f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}.",
        ),
    ] = None,
    wnids: Annotated[
        str | None,
        option(
            "--wnids LIST",
            "The wnids of a 2020 graph in the order of the classes: a file with one per line, or "
            "a bundled data set.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        option(
            "--classes LIST",
            f"The order of the classes, where the file does not say it: {LIST_OF_CLASSES}.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert a tree from one file format to another."""
    tree = read_any_tree(source, classes, wnids)
    write_any_tree(tree, output, to)
    tell_of(tree, output, json)
