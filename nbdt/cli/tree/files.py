"""Trees in files of any format that the command line reads or writes."""

from __future__ import annotations

from typing import Any

from nbdt.cli.inputs import is_model, read_class_table, read_classes, read_tree
from nbdt.cli.output import say, say_json
from nbdt.errors import InputError
from nbdt.files import write_text
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.edit import reorder
from nbdt.hierarchy.formats.base import suffix_of, written_formats, written_tree
from nbdt.hierarchy.library import read_hierarchy


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
