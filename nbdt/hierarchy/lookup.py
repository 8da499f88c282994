"""Nodes as people give them, by id or by name, and as messages name them."""

from __future__ import annotations

from collections.abc import Iterable

from nbdt.errors import InputError
from nbdt.hierarchy.tree import Hierarchy

Node = int | str
"""A node's id or its name; a class is preferred to an inner node of its name."""


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
    given = list(nodes)
    bearers: dict[str, list[int]] = {}
    if any(isinstance(node, str) for node in given):
        for index, name in enumerate(tree.names):
            bearers.setdefault(name, []).append(index)
    ids = []
    for node in given:
        if isinstance(node, str):
            found = bearers.get(node, [])
            if node and len(found) > 1 and found[0] >= tree.num_classes:
                raise InputError(
                    f"nodes {' and '.join(map(str, found))} are all called {node!r}; give the id."
                )
            ids.append(found[0] if node and found else tree.find(node))
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
