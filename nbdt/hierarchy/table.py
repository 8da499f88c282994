"""A table of parents, such as taxonomies are kept in, made a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def prune(
    parents: Sequence[int] | IntArray,
    names: Sequence[str],
    *,
    attributes: Mapping[int, Attributes] | None = None,
) -> Hierarchy:
    """Makes a tree of a table of parents in which nodes may have a single child.

    A `Hierarchy` has none, for at such a node there is nothing to decide; taxonomies have many.
    Each chain of them is left out but for its lowest node, which has the same classes under it
    and says best what they are.

    Args:
        parents: as those of a `Hierarchy` otherwise: −1 at the root, which is last, and the
            leaves first.
        names: the names of the leaves, or of all nodes.
        attributes: what else is known of single nodes; that of nodes left out is dropped.

    Raises:
        HierarchyError: this is no tree of two classes or more; the message names the node.

    Example:
        >>> names = ["cat", "dog", "pet", "animal", "thing"]
        >>> print(prune([2, 2, 3, 4, -1], names))
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
