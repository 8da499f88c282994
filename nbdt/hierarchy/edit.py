"""Changed copies of a tree; the tree given is never touched.

- `rename` gives nodes other names; `reorder` gives the classes another order.
- `move` hangs a node, with all that is under it, below another parent; `regraft` puts it beside
  another node, below a new one.
- `group` puts siblings below a new node of their own; `dissolve` takes a node out again.
- `merge` makes one node of several siblings; `split` makes several of one.
- `collapse` takes out all below a depth; `restrict` keeps some classes only.
- `prune` makes a tree of a table of parents that has single-child chains (from
  `nbdt.hierarchy.table`; a `Hierarchy` has none).

A node is given by its id or its name, a class being preferred to an inner node of its name.

What becomes of a node's id: the classes keep theirs (save under `restrict` and `reorder`, where
they take the places asked for); the inner nodes that are left keep their order, new ones follow
them, and the root is last.

What becomes of what is known of a node: a node that is left keeps its name and attributes, but for
what would no longer be true. Where `move`, `regraft` or `restrict` give a node other classes than
it had:

- its support goes;
- a name that nbdt made of its classes, with the concept, precision and recall behind it, gives way
  to one that `name_by_leaves` makes of those it has now (`name_by_taxonomy` finds concepts again);
- a name given by hand stays, as does one that came with the tree, such as WordNet's, with wnid and
  gloss: it says what the node is to stand for, and that is for you to say.

A node that is just the classes of a concept stays so where `restrict` leaves some of them out. To
keep any other name, `rename` the node to it after the edit: then it is yours.

Merge heights say at what distance the classes under a node were joined, so they are kept by the
edits that only take nodes out or give them other names or places in the list (`rename`, `reorder`,
`dissolve`, `collapse`, `restrict`), and given up by those that join classes anew (`move`,
`regraft`, `group`, `merge`, `split`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.grouping import dissolve as dissolve
from nbdt.hierarchy.grouping import group as group
from nbdt.hierarchy.grouping import merge as merge
from nbdt.hierarchy.grouping import split as split
from nbdt.hierarchy.invalidate import invalidate, refresh_names
from nbdt.hierarchy.lookup import Node, check_free, class_ids, described, distinct_ids, node_ids
from nbdt.hierarchy.naming import BY_HAND, without_naming
from nbdt.hierarchy.regraft import regraft as regraft
from nbdt.hierarchy.relabel import attributes_by_node, relabelled
from nbdt.hierarchy.table import prune as prune
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import is_integer


def rename(tree: Hierarchy, names: Mapping[Node, str]) -> Hierarchy:
    """Gives nodes other names; an inner node renamed to ``""`` is nameless.

    All old names are looked up before any is changed, so two nodes can swap theirs. The
    ``name_source`` of an inner node becomes ``"hand"``.

    Args:
        tree: the tree.
        names: the new names, by node.

    Raises:
        HierarchyError: two classes would have the same name, or one none.
        InputError: a node is given twice, its name is that of several inner nodes, or an inner
            node would be called as a class is.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> print(rename(tree, {3: "pet", "car": "taxi"}))
        node 4
        ├─ taxi
        └─ pet
           ├─ cat
           └─ dog
    """
    if not isinstance(names, Mapping):
        raise InputError(f"the new names have to be a mapping by node, got {names!r}.")
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
    """Puts the classes in another order, that of a classifier whose outputs are ordered so.

    Args:
        tree: the tree.
        classes: all its classes, in their new order.

    Raises:
        InputError: these are not all the classes of the tree, each once.
        NotFoundError: there is no such class.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> reorder(tree, ["car", "cat", "dog"]).parents.tolist()
        [4, 3, 3, 4, -1]
    """
    leaves = class_ids(tree, classes)
    missing = set(range(tree.num_classes)).difference(leaves)
    if missing:
        raise InputError(
            f"an order needs all {tree.num_classes} classes, got {len(leaves)}: "
            f"{described(tree, min(missing))} is missing. To leave classes out, use restrict."
        )
    return tree.select([*leaves, *tree.inner])


def move(tree: Hierarchy, node: Node, parent: Node) -> Hierarchy:
    """Hangs a node, with all that is under it, below another inner node.

    Where the old parent is left with one child, there is nothing more to decide, so it is
    taken out and the child takes its place, be it that of the root. Nodes that have other classes
    then are not called after those they had; see `nbdt.hierarchy.edit`.

    Args:
        tree: the tree.
        node: the node to move.
        parent: the inner node below which it comes.

    Raises:
        HierarchyError: the node is the root, the new parent is a leaf, or it is the node itself
            or under it.
        InputError: a name is that of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> names = ["cat", "car", "dog", "fox", "odd", "wild", "thing"]
        >>> print(move(Hierarchy([4, 4, 5, 5, 6, 6, -1], names), "cat", "wild"))
        thing
        ├─ car
        └─ wild
           ├─ cat
           ├─ dog
           └─ fox
    """
    moved, target = node_ids(tree, [node, parent])
    if moved == tree.root:
        raise HierarchyError("the root has nothing above it to be moved to.")
    if tree.is_leaf(target):
        raise HierarchyError(
            f"{described(tree, target)} is a leaf, and nothing hangs below a leaf."
        )
    if tree.is_ancestor(moved, target):
        raise HierarchyError(
            f"{described(tree, moved)} cannot be moved below {described(tree, target)}, which is "
            f"{'itself' if moved == target else 'under it'}."
        )
    if tree.parent(moved) == target:
        return tree
    # What is above both places has the same classes as before.
    old = invalidate(tree, {*tree.ancestors(moved)} ^ {*tree.path(target)})
    parents = tree.parents.tolist()
    parents[moved] = target
    return refresh_names(prune(parents, old.names, attributes=attributes_by_node(old)))


def collapse(tree: Hierarchy, depth: int) -> Hierarchy:
    """Takes out all inner nodes at a depth or deeper, so that no leaf lies deeper than it.

    Args:
        tree: the tree.
        depth: the depth in edges from the root; 1 leaves the root and the classes only, and the
            tree's height or more changes nothing.

    Raises:
        InputError: the depth is less than 1.

    Example:
        >>> tree = Hierarchy([4, 4, 5, 6, 5, 6, -1], ["cat", "dog", "fox", "car"])
        >>> tree.height(6), collapse(tree, 2).height(5)
        (3, 2)
    """
    if not is_integer(depth) or depth < 1:
        raise InputError(f"a depth to collapse to is a whole number, 1 or more; got {depth!r}.")
    kept = [node for node in tree.inner if tree.depths[node] < depth]
    return tree.select([*range(tree.num_classes), *kept])


def restrict(tree: Hierarchy, classes: Sequence[Node]) -> Hierarchy:
    """Keeps some classes only, in the order given.

    Class i of the result is ``classes[i]``, so the tree fits a network with just those outputs,
    in that order; of the ids of classes it does what indexing does to logits:
    ``logits[:, classes]``. Inner nodes that are left with one child are taken out, and so are
    those left with none; the root may then be another node. What was said of classes that are left
    out is not said any more; see `nbdt.hierarchy.edit`.

    Args:
        tree: the tree.
        classes: two or more of its classes.

    Raises:
        InputError: less than two classes, one given twice, an inner node, or a set, which has
            no order.
        NotFoundError: there is no such class.

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
    # The new root comes last, and it is the highest of those that are kept.
    inner = inner[np.argsort(inner == inner[tree.depths[inner].argmin()], kind="stable")]
    changed = {*np.flatnonzero(left < tree.sizes).tolist()}
    old = invalidate(tree, changed, fewer=len(leaves) < tree.num_classes)
    return refresh_names(old.select([*leaves, *inner.tolist()]))
