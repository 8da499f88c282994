"""Trees in files of any format that the command line reads or writes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from nbdt.cli.inputs import is_model, read_class_table, read_classes, read_tree
from nbdt.cli.output import say, say_json
from nbdt.errors import InputError, NBDTError
from nbdt.files import read_json, read_text, write_json, write_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import reorder
from nbdt.hierarchy.formats import from_2020, from_newick, to_newick
from nbdt.hierarchy.formats.node_link import from_node_link, to_node_link
from nbdt.hierarchy.library import save_hierarchy

_NEWICK = (".nwk", ".newick", ".tree")


class Format(StrEnum):
    """The formats that a tree can be written in."""

    hierarchy = "hierarchy"
    newick = "newick"
    node_link = "node-link"


def read_any_tree(source: str, classes: str | None = None, wnids: str | None = None) -> Hierarchy:
    """The tree that a bundled name, a model's folder, or a file of any format stands for.

    Args:
        source: the name or the path.
        classes: a list of the classes, which says their order where the file does not.
        wnids: the list of wnids of a graph of the 2020 release.
    """
    names = None if classes is None else read_classes(classes)
    suffix = "" if is_model(source) else Path(source).suffix.lower()
    document = read_json(source) if suffix == ".json" else None
    graph = document if isinstance(document, dict) and "nodes" in document else None
    if wnids is not None and graph is None:
        raise InputError(f"{source}: this is no graph of the 2020 release; leave --wnids out.")
    try:
        if suffix in _NEWICK:
            return from_newick(read_text(source), names)
        if graph is not None and wnids is not None:
            order = [row.wnid or row.name for row in read_class_table(wnids)]
            return from_2020(graph, order, names)
        if graph is not None:
            return from_node_link(graph, names)
    except NBDTError as error:
        message = str(error).removeprefix(f"{source}: ")
        raise type(error)(f"{source}: {message}") from None
    tree = read_tree(source)
    return tree if names is None else reorder(tree, names)


def write_any_tree(tree: Hierarchy, path: str, kind: Format | None = None) -> None:
    """Writes a tree to a file; its suffix says the format where `kind` does not."""
    suffix = Path(path).suffix.lower()
    if kind is None and suffix not in (".json", *_NEWICK):
        raise InputError(
            f"{path}: a tree is written to a file that ends in .json or, as Newick, in "
            f"{', '.join(_NEWICK)}."
        )
    if kind is Format.newick or (kind is None and suffix in _NEWICK):
        write_text(path, to_newick(tree) + "\n")
    elif kind is Format.node_link:
        write_json(path, to_node_link(tree))
    else:
        save_hierarchy(tree, path)


def tell_of(tree: Hierarchy, output: str, json: bool) -> None:
    """Says that a tree was written, and what it is."""
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
