"""The same tree with other names, or with something else known of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import Attributes


def attributes_by_node(tree: Hierarchy) -> dict[int, dict[str, Any]]:
    """A copy of what is known of each node, that of the nodes without attributes empty.

    Example:
        >>> attributes_by_node(Hierarchy([2, 2, -1], ["cat", "dog"], attributes={1: {"legs": 4}}))
        {0: {}, 1: {'legs': 4}, 2: {}}
    """
    return {node: dict(tree.attributes(node)) for node in range(len(tree))}


def relabelled(
    tree: Hierarchy,
    names: Sequence[str] | None = None,
    attributes: Mapping[int, Attributes] | None = None,
) -> Hierarchy:
    """The tree with other names or attributes; what is left out stays.

    Raises:
        HierarchyError: these names or attributes cannot be those of a tree.

    Example:
        >>> tree = Hierarchy([2, 2, -1], ["cat", "dog"], attributes={1: {"legs": 4}})
        >>> other = relabelled(tree, names=["cat", "hound", "pet"])
        >>> other.names, other.attributes(1) == tree.attributes(1)
        (('cat', 'hound', 'pet'), True)
    """
    return Hierarchy(
        tree.parents,
        tree.names if names is None else names,
        merge_heights=tree.merge_heights,
        attributes=attributes_by_node(tree) if attributes is None else attributes,
    )
