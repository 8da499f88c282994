"""Node lookup: by id or name, and by the pairs of classes that they join."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import numpy as np

from nbdt.errors import InputError
from nbdt.hierarchy.text import join_names
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import IntArray

Node = int | str
"""A node's id, or its name as `Hierarchy.find` looks it up."""


def node_ids(tree: Hierarchy, nodes: Iterable[Node]) -> list[int]:
    """The ids of nodes given by id or name."""
    if isinstance(nodes, str) or not isinstance(nodes, Iterable):
        raise InputError(f"expected a list of nodes, got {nodes!r}.")
    ids = []
    for node in nodes:
        if isinstance(node, str):
            ids.append(tree.find(node))
        else:
            tree.depth(node)  # raises NotFoundError where there is no such node
            ids.append(int(node))
    return ids


def distinct_ids(tree: Hierarchy, nodes: Iterable[Node]) -> list[int]:
    """The ids of nodes, each given once; a set is refused, since it has no order."""
    if isinstance(nodes, set | frozenset):
        raise InputError("the order of the nodes matters, and a set has none; give a list.")
    ids = node_ids(tree, nodes)
    seen: set[int] = set()
    for node in ids:
        if node in seen:
            raise InputError(f"{described(tree, node)} is given twice.")
        seen.add(node)
    return ids


def class_ids(tree: Hierarchy, classes: Iterable[Node]) -> list[int]:
    """The ids of different classes; inner nodes are refused."""
    ids = distinct_ids(tree, classes)
    for node in ids:
        if not tree.is_leaf(node):
            raise InputError(
                f"{described(tree, node)} is not a class but a group of {tree.sizes[node]}: "
                f"tree.leaves({node})."
            )
    return ids


def described(tree: Hierarchy, node: int) -> str:
    """The node as messages name it: ``node 1 ('dog')``."""
    name = tree.names[node]
    return f"node {node} ({name!r})" if name else f"node {node}"


def check_free(name: str, classes: Container[str], node: str) -> None:
    """Refuses to give an inner node the name of a class, since `find` could not return it.

    `node` is what the message calls the inner node.
    """
    if isinstance(name, str) and name in classes:
        raise InputError(f"{node} cannot be called {name!r}, since a class has that name.")


def quoted(names: Sequence[str]) -> str:
    """The first of some names in quotes, as messages list them."""
    return join_names(map(repr, names), len(names), most=6, width=80)


class LcaTable:
    """The lowest common ancestors of many pairs of classes at once.

    It keeps each node's ancestors 1, 2, 4, … steps up, so that a path of thousands of nodes is
    climbed in a dozen steps.
    """

    def __init__(self, tree: Hierarchy) -> None:
        self.tree = tree
        jump = tree.parents.copy()
        jump[tree.root] = tree.root
        self._jumps = [jump]
        while 2 ** len(self._jumps) <= tree.depths.max():
            jump = jump[jump]
            self._jumps.append(jump)

    def towards(self, leaves: IntArray, others: IntArray) -> IntArray:
        """Each leaf's highest ancestor, or the leaf itself, that does not contain the other leaf.

        Both have shape (pairs,), and no leaf is paired with itself.
        """
        start, sizes = self.tree.leaf_start, self.tree.sizes
        place, nodes = start[others], leaves
        for jump in reversed(self._jumps):
            above = jump[nodes]
            holds = (start[above] <= place) & (place < start[above] + sizes[above])
            nodes = np.where(holds, nodes, above)
        return nodes

    def lca(self, leaves: IntArray, others: IntArray) -> IntArray:
        """The lowest common ancestor of each pair; shape (pairs,)."""
        return self.tree.parents[self.towards(leaves, others)]
