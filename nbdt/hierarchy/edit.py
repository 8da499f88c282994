"""Edited copies of a tree; the original is never changed.

- `rename` gives nodes other names; `reorder` gives the classes another order.
- `move` hangs a node, with everything under it, below another parent; `regraft` puts it beside
  another node, below a new one.
- `group` puts siblings below a new node; `dissolve` removes a node again.
- `merge` makes one node of several siblings; `split` makes several of one.
- `collapse` removes all inner nodes below a depth; `restrict` keeps only some classes.
- `collapse_unary` makes a tree of a list of parents that has single-child chains.

Pass nodes by id or by name; a class is preferred to an inner node of the same name. All edits raise
`NotFoundError` for an unknown node, `InputError` where several inner nodes share a name, a node is
given twice or an inner node would get the name of a class, and `HierarchyError` where the result
would not be a tree of classes.

Ids: classes keep theirs, except that `restrict` and `reorder` put them in the order asked for.
Remaining inner nodes keep their order, new ones follow, and the root is last.

Names and attributes stay as long as they remain true. Where `move`, `regraft` or `restrict` change
the classes of a node:

- its support is removed;
- a name that nbdt made from its classes, with its concept, precision and recall, is replaced by
  the one that `name_by_leaves` makes (`name_by_taxonomy` finds concepts again);
- a name given by hand, or one that came with the tree, such as WordNet's, stays with its wnid and
  gloss.

A node that matches a concept exactly keeps its name when `restrict` removes some of its classes.
To keep any other name, `rename` the node to it after the edit: then it counts as given by hand.

Merge heights are kept by `rename`, `reorder`, `dissolve`, `collapse` and `restrict`, and dropped by
the edits that join classes anew (`move`, `regraft`, `group`, `merge`, `split`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.grouping import dissolve as dissolve
from nbdt.hierarchy.grouping import group as group
from nbdt.hierarchy.grouping import merge as merge
from nbdt.hierarchy.grouping import split as split
from nbdt.hierarchy.lookup import Node, check_free, class_ids, described, distinct_ids, node_ids
from nbdt.hierarchy.naming import BY_HAND, BY_LEAVES, renamed_by_leaves, without_naming
from nbdt.hierarchy.rebuild import attributes_by_node, relabelled
from nbdt.hierarchy.rebuild import collapse_unary as collapse_unary
from nbdt.hierarchy.support import SUPPORT, TREES
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import is_integer


def rename(tree: Hierarchy, names: Mapping[Node, str]) -> Hierarchy:
    """Gives nodes other names; an inner node renamed to ``""`` is nameless.

    All old names are looked up before any is changed, so two nodes can swap theirs. The
    ``name_source`` of an inner node becomes ``"hand"``.
    """
    if not isinstance(names, Mapping):
        raise InputError(f"the new names must be a mapping by node, got {names!r}.")
    renamed, attributes = list(tree.names), attributes_by_node(tree)
    nodes = distinct_ids(tree, names)
    changed = {node: name for node, name in zip(nodes, names.values(), strict=True)
               if name != tree.names[node]}  # fmt: skip
    for node, name in changed.items():
        renamed[node] = name
        if not tree.is_leaf(node):
            by_hand = BY_HAND if name else {}
            attributes[node] = without_naming(attributes[node]) | dict(by_hand)
    classes = set(renamed[: tree.num_classes])
    new_classes = {name for node, name in changed.items() if tree.is_leaf(node)}
    for node in tree.inner:
        taken = classes if node in changed else new_classes
        check_free(renamed[node], taken, described(tree, node))
    return relabelled(tree, renamed, attributes)


def reorder(tree: Hierarchy, classes: Sequence[Node]) -> Hierarchy:
    """Puts all the classes in another order, such as the order of a classifier's outputs."""
    leaves = class_ids(tree, classes)
    missing = set(range(tree.num_classes)).difference(leaves)
    if missing:
        raise InputError(
            f"an order needs all {tree.num_classes} classes, got {len(leaves)}: "
            f"{described(tree, min(missing))} is missing. To leave classes out, use restrict."
        )
    return tree.select([*leaves, *tree.inner])


def move(tree: Hierarchy, node: Node, parent: Node) -> Hierarchy:
    """Hangs a node, with everything under it, below another inner node.

    If the old parent keeps only one child, that child takes its place, even at the root.
    """
    moved, target = node_ids(tree, [node, parent])
    if moved == tree.root:
        raise HierarchyError("the root has nothing above it and cannot be moved.")
    if tree.is_leaf(target):
        raise HierarchyError(f"{described(tree, target)} is a leaf, which has nothing below it.")
    _check_outside(tree, moved, target, "moved below")
    if tree.parent(moved) == target:
        return tree
    # Nodes above both places keep their classes.
    old = invalidate(tree, {*tree.ancestors(moved)} ^ {*tree.path(target)})
    parents = tree.parents.tolist()
    parents[moved] = target
    return refresh_names(collapse_unary(parents, old.names, attributes=attributes_by_node(old)))


def regraft(tree: Hierarchy, node: Node, beside: Node, name: str = "") -> Hierarchy:
    """Puts a node, with everything under it, and another one below a new node.

    The new node takes the place of `beside` (a class or not; the root for a new root above), so a
    binary tree stays binary: subtree pruning and regrafting (Swofford and Olsen 1990). If the old
    parent keeps only one child, that child takes its place. Two nodes that are already the only
    children of one parent stay as they are.

    Example:
        >>> names = ["cat", "car", "dog", "bus", "odd", "more", "thing"]
        >>> print(regraft(Hierarchy([4, 4, 5, 5, 6, 6, -1], names), "cat", "dog", "pet"))
        thing
        ├─ car
        └─ more
           ├─ bus
           └─ pet
              ├─ cat
              └─ dog
    """
    moved, other = node_ids(tree, [node, beside])
    if moved == tree.root:
        raise HierarchyError("the root has nothing beside it.")
    _check_outside(tree, moved, other, "put beside")
    check_free(name, tree.classes, "the new node")
    parent = tree.parent(moved)
    if parent in (other, tree.parent(other)) and len(tree.children(parent)) == 2:
        return tree
    # Nodes above both places keep their classes.
    old = invalidate(tree, {*tree.ancestors(moved)} ^ {*tree.ancestors(other)})
    # The new node comes before the root, or is the root.
    parents, names, known = tree.parents.tolist(), list(old.names), attributes_by_node(old)
    new = tree.root + 1
    parents.append(parents[other])
    parents[moved] = parents[other] = new
    names.append(name)
    if other != tree.root:
        root = tree.root
        swap = {root: new, new: root}
        parents = [swap.get(parent, parent) for parent in parents]
        parents[root], parents[new] = parents[new], parents[root]
        names[root], names[new] = names[new], names[root]
        known[new], new = known[root], root
    known[new] = dict(BY_HAND) if name else {}
    return refresh_names(collapse_unary(parents, names, attributes=known))


def collapse(tree: Hierarchy, depth: int) -> Hierarchy:
    """Removes all inner nodes at a depth or deeper, so that no leaf lies deeper than `depth`.

    Depth counts edges from the root: 1 leaves only the root and the classes.
    """
    if not is_integer(depth) or depth < 1:
        raise InputError(f"the depth must be a whole number, 1 or more; got {depth!r}.")
    kept = [node for node in tree.inner if tree.depths[node] < depth]
    return tree.select([*range(tree.num_classes), *kept])


def restrict(tree: Hierarchy, classes: Sequence[Node]) -> Hierarchy:
    """Keeps only some classes, two or more, in the order given.

    Class i of the result is ``classes[i]``, so the tree fits a network with just those outputs in
    that order: ``logits[:, classes]``. Inner nodes with fewer than two remaining children are
    removed; the root may then be another node.

    Example:
        >>> tree = Hierarchy([4, 4, 5, 6, 5, 6, -1], ["cat", "dog", "fox", "car"])
        >>> print(restrict(tree, ["fox", "dog", "car"]))
        node 4
        ├─ car
        └─ node 3
           ├─ fox
           └─ dog
    """
    leaves = class_ids(tree, classes)
    if len(leaves) < 2:
        raise InputError(f"a tree needs at least two classes, got {len(leaves)}.")
    is_kept = np.isin(tree.leaf_order, leaves)
    # How many classes are kept in leaf_order up to each place, hence under each node.
    before = np.concatenate([[0], np.cumsum(is_kept)])
    left = before[tree.leaf_start + tree.sizes] - before[tree.leaf_start]
    branches = np.bincount(tree.parents[:-1][left[:-1] > 0], minlength=len(tree))
    inner = np.flatnonzero(branches > 1)
    # The new root comes last; it is the highest kept node.
    inner = inner[np.argsort(inner == inner[tree.depths[inner].argmin()], kind="stable")]
    changed = {*np.flatnonzero(left < tree.sizes).tolist()}
    old = invalidate(tree, changed, fewer=len(leaves) < tree.num_classes)
    return refresh_names(old.select([*leaves, *inner.tolist()]))


# ── what remains true of a node whose classes change ──────────────────────────────────────────


def invalidate(tree: Hierarchy, changed: Collection[int], *, fewer: bool = False) -> Hierarchy:
    """The tree before an edit, without what the edit makes untrue.

    Nodes in `changed` lose their support, and the name and concept that were found for their
    classes. Where classes leave the tree (`fewer`), a concept may now fit another node better, so
    it is removed unless all of its classes are under the node.
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
    """Names the nodes whose names `invalidate` removed, as `name_by_leaves` does without rows."""
    nameless = [node for node in tree.inner if not tree.names[node]]
    taken = [node for node in nameless if tree.attributes(node).items() >= BY_LEAVES.items()]
    return renamed_by_leaves(tree, taken) if taken else tree


def _stays_true(tree: Hierarchy, node: int, changed: bool, fewer: bool) -> bool:
    known = tree.attributes(node)
    source = known.get("name_source")
    if source not in ("leaves", "taxonomy"):
        return True
    if source == "leaves" or not fewer:
        return not changed
    if changed:
        # An exact concept whose classes leave the tree stays exact.
        exact = known.get("precision") == known.get("recall") == 1
        return exact and tree.names[node] == known.get("concept")
    return bool(known.get("recall") == 1)


def _check_outside(tree: Hierarchy, moved: int, other: int, verb: str) -> None:
    if tree.is_ancestor(moved, other):
        raise HierarchyError(
            f"{described(tree, moved)} cannot be {verb} {described(tree, other)}, which is "
            f"{'itself' if moved == other else 'under it'}."
        )
