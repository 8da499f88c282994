"""Nodes as people give them, by id or by name, and as messages name them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from nbdt.errors import InputError
from nbdt.hierarchy.text import listed
from nbdt.hierarchy.tree import Hierarchy

Node = int | str
"""A node's id or its name, which is looked up as by `Hierarchy.find`."""


def node_ids(tree: Hierarchy, nodes: Iterable[Node]) -> list[int]:
    """The ids of nodes given by id or name.

    Raises:
        InputError: `nodes` is no list, or a name is that of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
        >>> node_ids(tree, ["pet", 0])
        [3, 0]
    """
    if isinstance(nodes, str) or not isinstance(nodes, Iterable):
        raise InputError(f"a list of nodes is needed, got {nodes!r}.")
    ids = []
    for node in nodes:
        if isinstance(node, str):
            ids.append(tree.find(node))
        else:
            tree.depth(node)  # raises NotFoundError where there is no such node
            ids.append(int(node))
    return ids


def distinct_ids(tree: Hierarchy, nodes: Iterable[Node]) -> list[int]:
    """The ids of nodes of which none may be given twice.

    Raises:
        InputError: a node is given twice, `nodes` is no list, or a set, which has no order, or a
            name is that of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> distinct_ids(tree, ["cat", 0])
        Traceback (most recent call last):
        nbdt.errors.InputError: node 0 ('cat') is given twice.
    """
    if isinstance(nodes, set | frozenset):
        raise InputError("nodes are given in order, and a set has none; give a list.")
    ids = node_ids(tree, nodes)
    seen: set[int] = set()
    for node in ids:
        if node in seen:
            raise InputError(f"{described(tree, node)} is given twice.")
        seen.add(node)
    return ids


def class_ids(tree: Hierarchy, classes: Iterable[Node]) -> list[int]:
    """The ids of different classes.

    Raises:
        InputError: one is no class but an inner node, else as `distinct_ids`.
        NotFoundError: there is no such node.

    Example:
        >>> class_ids(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), ["car", "cat"])
        [2, 0]
    """
    ids = distinct_ids(tree, classes)
    for node in ids:
        if not tree.is_leaf(node):
            raise InputError(
                f"{described(tree, node)} is no class, it stands for {tree.sizes[node]}: "
                f"tree.leaves({node})."
            )
    return ids


def described(tree: Hierarchy, node: int) -> str:
    """The node as messages name it.

    Example:
        >>> described(Hierarchy([2, 2, -1], ["cat", "dog"]), 1)
        "node 1 ('dog')"
    """
    name = tree.names[node]
    return f"node {node} ({name!r})" if name else f"node {node}"


def check_free(name: str, classes: Container[str], node: str) -> None:
    """Refuses to call an inner node as a class is, for it could not be found by that.

    Args:
        name: what it is to be called.
        classes: what the classes are called.
        node: the inner node, as messages name it.

    Raises:
        InputError: there is such a class.

    Example:
        >>> check_free("cat", ["cat", "dog"], "node 2")
        Traceback (most recent call last):
        nbdt.errors.InputError: there is a class called 'cat', which node 2 is not.
    """
    if isinstance(name, str) and name in classes:
        raise InputError(f"there is a class called {name!r}, which {node} is not.")


def quoted(names: Sequence[str]) -> str:
    """The first of some names in quotes, as messages list them.

    Example:
        >>> quoted(["tench, Tinca tinca", "goldfish"])
        "'tench, Tinca tinca', 'goldfish'"
    """
    return listed(map(repr, names), len(names), most=6, width=80)
