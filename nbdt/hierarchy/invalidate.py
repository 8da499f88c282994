"""What is said of a node's classes, where an edit gives it others: taken back, and said anew."""

from __future__ import annotations

from collections.abc import Collection

from nbdt.hierarchy.naming import BY_LEAVES, renamed_by_leaves, without_naming
from nbdt.hierarchy.relabel import attributes_by_node, relabelled
from nbdt.hierarchy.support import SUPPORT, TREES
from nbdt.hierarchy.tree import Hierarchy


def invalidate(tree: Hierarchy, changed: Collection[int], *, fewer: bool = False) -> Hierarchy:
    """The tree without what will be untrue of it after an edit: to be edited, then renewed.

    Of a node whose classes change, that is its support, and the name and the concept that were
    found for its classes. Where classes leave the tree, a concept may fit another node better than
    it did: it is taken back, unless all of its classes are under the node, before and after.

    Names given by hand, or by whoever made the tree, are not of these classes, and stay.

    Args:
        tree: the tree before the edit.
        changed: the inner nodes that will have other classes.
        fewer: whether classes leave the tree, those that the changed nodes lose.

    Example:
        >>> from nbdt.hierarchy.naming import name_by_leaves
        >>> tree = name_by_leaves(Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"]))
        >>> invalidate(tree, [4]).names[4:]
        ('', 'car, bus', 'cat, dog, +2')
    """
    names, attributes = list(tree.names), attributes_by_node(tree)
    for node in tree.inner:
        if node in changed:
            for key in (SUPPORT, TREES):
                attributes[node].pop(key, None)
        if not _stays_true(tree, node, node in changed, fewer):
            names[node] = ""
            attributes[node] = without_naming(attributes[node]) | dict(BY_LEAVES)
    return relabelled(tree, names, attributes)


def refresh_names(tree: Hierarchy) -> Hierarchy:
    """Names the nodes whose names `invalidate` took, as `name_by_leaves` does without rows.

    Example:
        >>> from nbdt.hierarchy.naming import name_by_leaves
        >>> tree = name_by_leaves(Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"]))
        >>> refresh_names(invalidate(tree, [4])) == tree
        True
    """
    nameless = [node for node in tree.inner if not tree.names[node]]
    taken = [node for node in nameless if tree.attributes(node).items() >= BY_LEAVES.items()]
    return renamed_by_leaves(tree, taken) if taken else tree


def _stays_true(tree: Hierarchy, node: int, changed: bool, fewer: bool) -> bool:
    """Whether a node's name says of its classes what is so after the edit, too."""
    known = tree.attributes(node)
    source = known.get("name_source")
    if source not in ("leaves", "taxonomy"):
        return True
    if source == "leaves" or not fewer:
        return not changed
    if changed:
        # A node that is a concept, and loses just the classes that there are no more, still is.
        exact = known.get("precision") == known.get("recall") == 1
        return exact and tree.names[node] == known.get("concept")
    return bool(known.get("recall") == 1)
