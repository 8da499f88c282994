"""Which nodes of a tree an edit touches: those that decide between other groups than before."""

from __future__ import annotations

from nbdt.evaluation.edits import Edit
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.rebuild import relabelled

Pair = tuple[int | None, int | None]
"""A node in the tree before and the same in the tree after; None where it is not there."""

_ORIGIN = "nbdt.evaluation.changed_nodes: node before"


def edited(tree: Hierarchy, edit: Edit) -> tuple[Hierarchy, list[Pair]]:
    """The tree after an edit, and the nodes that it touches.

    All other nodes decide between the same groups of classes as before, so they decide every
    sample as before. Of the touched ones, those that are gone come first.

    Raises:
        NBDTError: as the edit does.

    Example:
        >>> names = ["cat", "dog", "car", "bus", "animal", "odd", "thing"]
        >>> tree = Hierarchy([4, 4, 5, 6, 5, 6, -1], names)
        >>> after, touched = edited(tree, Edit("dissolve", {"node": "odd"}))
        >>> touched  # the animals decide as before; the root has three children now
        [(5, None), (6, 5)]
    """
    # Attributes go with their nodes through every edit, so they tell where a node comes from.
    tags = {node: {**tree.attributes(node), _ORIGIN: node} for node in range(len(tree))}
    tagged = edit(relabelled(tree, attributes=tags))
    known = {v: dict(tagged.attributes(v)) for v in range(len(tagged))}
    origins = [values.pop(_ORIGIN, None) for values in known.values()]
    after = relabelled(tagged, attributes=known)

    old, new = _families(tree), _families(after)
    same = set(old.values()) & set(new.values())
    left = {node for node, family in old.items() if family not in same}
    pairs: list[Pair] = []
    for node, family in new.items():
        if family not in same:
            origin = origins[node] if origins[node] in left else None
            pairs.append((origin, node))
    gone = left.difference(origin for origin, _ in pairs if origin is not None)
    return after, [*((node, None) for node in sorted(gone)), *pairs]


def _families(tree: Hierarchy) -> dict[int, frozenset[frozenset[int]]]:
    """The groups of classes that each inner node decides between."""
    groups = [frozenset(tree.leaves(node)) for node in range(len(tree))]
    return {node: frozenset(groups[child] for child in tree.children(node)) for node in tree.inner}
