"""Changed copies of a tree; the tree given is never changed.

- `rename` gives nodes other names; `reorder` gives the classes another order.
- `move` hangs a node, with everything under it, below another parent; `regraft` puts it beside
  another node, below a new one.
- `group` puts siblings below a new node of their own; `dissolve` takes a node out again.
- `merge` makes one node of several siblings; `split` makes several of one.
- `collapse` takes out everything below a depth; `restrict` keeps only some classes.
- `collapse_unary` makes a tree of a list of parents that has single-child chains.

A node is given by its id or its name; a class is preferred to an inner node of the same name.

Ids: classes keep theirs, except that `restrict` and `reorder` put them in the order asked for. The
inner nodes that stay keep their order, new ones follow them, and the root is last.

Names and attributes: a node that stays keeps them as far as they remain true. Where `move`,
`regraft` or `restrict` give a node other classes than it had:

- its support goes;
- a name that nbdt made from its classes, with the concept, precision and recall behind it, is
  replaced by the name that `name_by_leaves` makes (`name_by_taxonomy` finds concepts again);
- a name given by hand stays, and so does one that came with the tree, such as WordNet's, with its
  wnid and gloss. It says what the node is meant to stand for, which is for you to decide.

A node that matches a concept exactly keeps its name when `restrict` removes some of its classes.
To keep any other name, `rename` the node to it after the edit: then it counts as given by hand.

Merge heights say at what distance the classes under a node were joined. They are kept by the edits
that only take nodes out, rename or reorder them (`rename`, `reorder`, `dissolve`, `collapse`,
`restrict`), and dropped by those that join classes anew (`move`, `regraft`, `group`, `merge`,
`split`).
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

    Raises:
        HierarchyError: two classes would have the same name, or one none.
        InputError: a node is given twice, several inner nodes share its name, or an inner node
            would have the name of a class.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> rename(tree, {3: "pet", "car": "taxi"}).names
        ('cat', 'dog', 'taxi', 'pet', '')
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
    """Puts all the classes in another order, that of a classifier's outputs.

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
    """Hangs a node, with everything under it, below another inner node.

    Where the old parent is left with one child, there is nothing more to decide, so that child
    takes its place, even that of the root.

    Raises:
        HierarchyError: the node is the root, the new parent is a leaf, or it is the node itself
            or under it.
        InputError: several inner nodes share a name.
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
    """Puts a node, with everything under it, and another one below a new node of their own.

    The new node takes the place of the other, so a binary tree stays binary. Where the old parent
    is left with one child, the child takes its place. In phylogenetics this is called subtree
    pruning and regrafting (Swofford and Olsen 1990). Two nodes that already have a parent of their
    own stay as they are.

    Args:
        tree: the tree.
        node: the node to move.
        beside: the node beside which it comes, a class or not; the root for a new root above.
        name: the new node's name.

    Raises:
        HierarchyError: the node is the root, or the other is the node itself or under it.
        InputError: several inner nodes share a name, or a class has the new node's name.
        NotFoundError: there is no such node.

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
    """Takes out all inner nodes at a depth or deeper, so that no leaf lies deeper than it.

    `depth` counts edges from the root: 1 leaves only the root and the classes, and the tree's
    height or more changes nothing.

    Example:
        >>> tree = Hierarchy([4, 4, 5, 6, 5, 6, -1], ["cat", "dog", "fox", "car"])
        >>> tree.height(6), collapse(tree, 2).height(5)
        (3, 2)
    """
    if not is_integer(depth) or depth < 1:
        raise InputError(f"the depth must be a whole number, 1 or more; got {depth!r}.")
    kept = [node for node in tree.inner if tree.depths[node] < depth]
    return tree.select([*range(tree.num_classes), *kept])


def restrict(tree: Hierarchy, classes: Sequence[Node]) -> Hierarchy:
    """Keeps only some classes, two or more, in the order given.

    Class i of the result is ``classes[i]``, so the tree fits a network with just those outputs,
    in that order: ``logits[:, classes]``. Inner nodes with fewer than two children left are taken
    out; the root may then be another node.

    Raises:
        InputError: fewer than two classes, one given twice, an inner node, or a set, which has
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


# ── what remains true of a node whose classes change ──────────────────────────────────────────


def invalidate(tree: Hierarchy, changed: Collection[int], *, fewer: bool = False) -> Hierarchy:
    """The tree before an edit, without what the edit makes untrue.

    Nodes whose classes change lose their support, and the name and concept that were found for
    their classes. Where classes leave the tree (`fewer`), a concept may now fit another node
    better, so it is removed unless all of its classes are under the node. Names given by hand, or
    by the maker of the tree, stay.

    Args:
        tree: the tree before the edit.
        changed: the inner nodes that will have other classes.
        fewer: whether classes leave the tree: those that the changed nodes lose.
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
    """Names the nodes whose names `invalidate` took, as `name_by_leaves` does without rows."""
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
