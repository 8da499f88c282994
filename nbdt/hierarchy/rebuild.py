"""A tree rebuilt with other names or attributes, or from parents with single-child chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import (
    Attributes,
    IntArray,
    checked_attributes,
    checked_leaves,
    checked_names,
    checked_parents,
    children_by_parent,
    raise_cycle,
)


def attributes_by_node(tree: Hierarchy) -> dict[int, dict[str, Any]]:
    """A copy of the attributes of every node, empty for nodes that have none."""
    return {node: dict(tree.attributes(node)) for node in range(len(tree))}


def relabelled(
    tree: Hierarchy,
    names: Sequence[str] | None = None,
    attributes: Mapping[int, Attributes] | None = None,
) -> Hierarchy:
    """The tree with other names or attributes; those not given stay."""
    return Hierarchy(
        tree.parents,
        tree.names if names is None else names,
        merge_heights=tree.merge_heights,
        attributes=attributes_by_node(tree) if attributes is None else attributes,
    )


def collapse_unary(
    parents: Sequence[int] | IntArray,
    names: Sequence[str],
    *,
    attributes: Mapping[int, Attributes] | None = None,
) -> Hierarchy:
    """Makes a tree of parents among which nodes may have a single child, as in taxonomies.

    `parents` are −1 at the root, which is last; the leaves come first. `names` are those of the
    leaves, or of all nodes. Of each chain only the lowest node is kept: it has the same classes
    under it as the others, and describes them best.

    Example:
        >>> names = ["cat", "dog", "pet", "animal", "thing"]
        >>> print(collapse_unary([2, 2, 3, 4, -1], names))
        pet
        ├─ cat
        └─ dog
    """
    table = checked_parents(parents)
    child_ids, child_start = children_by_parent(table)
    num_classes = checked_leaves(child_start)
    all_names = checked_names(names, num_classes, len(table))
    known = checked_attributes(attributes, len(table))
    is_link = np.diff(child_start) == 1

    above = [-1] * len(table)  # the nearest node above that is kept
    order = [len(table) - 1]
    for node in order:
        for child in child_ids[child_start[node] : child_start[node + 1]].tolist():
            above[child] = above[node] if is_link[node] else node
            order.append(child)
    if len(order) < len(table):
        raise_cycle(table.tolist(), order)

    kept = sorted(node for node in order if not is_link[node])
    # The highest node that is kept is the root, which is last.
    kept.sort(key=lambda node: above[node] < 0)
    new_id = {old: new for new, old in enumerate(kept)} | {-1: -1}
    return Hierarchy(
        [new_id[above[node]] for node in kept],
        [all_names[node] for node in kept],
        attributes={new_id[node]: values for node, values in known.items() if node in new_id},
    )
