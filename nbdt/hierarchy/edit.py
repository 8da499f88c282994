"""Changed copies of a tree; the tree given is never touched.

- `rename` gives nodes other names; `reorder` gives the classes another order.
- `move` hangs a node, with all that is under it, below another parent.
- `group` puts siblings below a new node of their own; `dissolve` takes a node out again.
- `merge` makes one node of several siblings; `split` makes several of one.
- `collapse` takes out all below a depth; `restrict` keeps some classes only.
- `prune` makes a tree of a table of parents that has single-child chains (from
  `nbdt.hierarchy.table`; a `Hierarchy` has none).

A node is given by its id or its name, a class being preferred to an inner node of its name.

What becomes of a node's id: the classes keep theirs (save under `restrict` and `reorder`, where
they take the places asked for); the inner nodes that are left keep their order, new ones follow
them, and the root is last.

What becomes of what is known of a node: a node that is left keeps its name and attributes. Merge
heights say at what distance the classes under a node were joined, so they are kept by the edits
that only take nodes out or give them other names or places in the list (`rename`, `reorder`,
`dissolve`, `collapse`, `restrict`), and given up by those that join classes anew (`move`,
`group`, `merge`, `split`).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence, Sized
from itertools import islice

import numpy as np

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.lookup import Node, class_ids, described, distinct_ids, node_ids
from nbdt.hierarchy.naming import NAMING_KEYS
from nbdt.hierarchy.table import prune as prune  # one of the edits, to those who look here
from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import Attributes, is_integer


def rename(tree: Hierarchy, names: Mapping[Node, str]) -> Hierarchy:
    """Gives nodes other names; an inner node renamed to ``""`` is nameless.

    All old names are looked up before any is changed, so two nodes can swap theirs. Where a node
    says how it got its old name, its ``name_source`` becomes ``"hand"``.

    Args:
        tree: the tree.
        names: the new names, by node.

    Raises:
        HierarchyError: two classes would have the same name, or one none.
        InputError: a node is given twice, or its name is that of several inner nodes.
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
    renamed, attributes = list(tree.names), _attributes(tree)
    for node, name in zip(distinct_ids(tree, names), names.values(), strict=True):
        renamed[node] = name
        if "name_source" in attributes[node] and name != tree.names[node]:
            kept = {key: v for key, v in attributes[node].items() if key not in NAMING_KEYS}
            attributes[node] = kept | ({"name_source": "hand"} if name else {})
    return Hierarchy(tree.parents, renamed, merge_heights=tree.merge_heights, attributes=attributes)


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
    taken out and the child takes its place, be it that of the root.

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
    parents = tree.parents.tolist()
    parents[moved] = target
    return prune(parents, tree.names, attributes=_attributes(tree))


def group(tree: Hierarchy, nodes: Sequence[Node], name: str = "") -> Hierarchy:
    """Puts some siblings below a new node, which takes their place below their parent.

    Args:
        tree: the tree.
        nodes: two or more children of one node, but not all of them.
        name: the new node's name.

    Raises:
        HierarchyError: the nodes have different parents, or they are all children of theirs.
        InputError: less than two nodes, one given twice, or a name of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([3, 3, 3, -1], ["cat", "car", "dog"])
        >>> print(group(tree, ["cat", "dog"], "pet"))
        node 4
        ├─ car
        └─ pet
           ├─ cat
           └─ dog
    """
    return _grouped(tree, [_siblings(tree, nodes)], [name])


def dissolve(tree: Hierarchy, node: Node) -> Hierarchy:
    """Takes one inner node out, so that its children hang from its parent.

    Args:
        tree: the tree.
        node: an inner node, not the root.

    Raises:
        HierarchyError: the node is a leaf or the root.
        InputError: its name is that of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
        >>> print(dissolve(tree, "pet"))
        thing
        ├─ cat
        ├─ dog
        └─ car
    """
    (taken,) = node_ids(tree, [node])
    _check_inner(tree, taken)
    if taken == tree.root:
        raise HierarchyError("the root cannot be dissolved: its children would have no parent.")
    return _without(tree, {taken})


def merge(tree: Hierarchy, nodes: Sequence[Node], name: str = "") -> Hierarchy:
    """Makes one node of several siblings: it has the children of all of them.

    A sibling that is a leaf has no children to give and becomes a child itself. The merged
    nodes' names and attributes go with them.

    Args:
        tree: the tree.
        nodes: two or more children of one node, but not all of them.
        name: the new node's name.

    Raises:
        HierarchyError: the nodes have different parents, or they are all children of theirs.
        InputError: less than two nodes, one given twice, or a name of several inner nodes.
        NotFoundError: there is no such node.

    Example:
        >>> names = ["cat", "dog", "fox", "owl", "car", "pet", "wild", "thing"]
        >>> tree = Hierarchy([5, 5, 6, 6, 7, 7, 7, -1], names)
        >>> print(merge(tree, ["pet", "wild"], "animal"))
        thing
        ├─ car
        └─ animal
           ├─ cat
           ├─ dog
           ├─ fox
           └─ owl
    """
    siblings = _siblings(tree, nodes)
    return _without(_grouped(tree, [siblings], [name]), set(siblings) & set(tree.inner))


def split(
    tree: Hierarchy,
    node: Node,
    groups: Sequence[Sequence[Node]],
    names: Sequence[str] | None = None,
) -> Hierarchy:
    """Makes several nodes of one, each with a group of its children: the reverse of `merge`.

    The new nodes hang from the node's parent; a group of one needs no node, so that child hangs
    there itself. The root stays, and the new nodes hang below it.

    Args:
        tree: the tree.
        node: the inner node to split.
        groups: its children, each in one of two or more groups.
        names: the names of the new nodes, one a group (that of a group of one is not used).

    Raises:
        HierarchyError: the node is a leaf, or the groups do not share its children out.
        InputError: less than two groups, an empty one, a node given twice, a name of several
            inner nodes, or another number of names than groups.
        NotFoundError: there is no such node.

    Example:
        >>> tree = Hierarchy([4, 4, 4, 4, -1], ["cat", "dog", "car", "bus"])
        >>> print(split(tree, 4, [["cat", "dog"], ["car", "bus"]], ["animal", "vehicle"]))
        node 6
        ├─ animal
        │  ├─ cat
        │  └─ dog
        └─ vehicle
           ├─ car
           └─ bus
    """
    (taken,) = node_ids(tree, [node])
    _check_inner(tree, taken)
    sizes = [0 if isinstance(g, str) or not isinstance(g, Sized) else len(g) for g in groups]
    if len(sizes) < 2 or 0 in sizes:
        raise InputError("a node is split into two or more lists of its children, none empty.")
    named = [""] * len(groups) if names is None else names
    if len(named) != len(groups):
        raise InputError(f"{len(groups)} groups need as many names, got {len(named)}.")
    members = distinct_ids(tree, [member for group in groups for member in group])
    wrong = set(members).symmetric_difference(tree.children(taken))
    if wrong:
        node = min(wrong)
        raise HierarchyError(
            f"the groups have to share out the children of {described(tree, taken)}, but "
            f"{described(tree, node)} {'is not one' if node in members else 'is in no group'}."
        )
    rest = iter(members)
    shares = [(list(islice(rest, size)), name) for size, name in zip(sizes, named, strict=True)]
    made = [share for share in shares if len(share[0]) > 1]
    grouped = _grouped(tree, [share for share, _ in made], [name for _, name in made])
    return grouped if taken == tree.root else _without(grouped, {taken})


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
    those left with none; the root may then be another node.

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
    return tree.select([*leaves, *inner.tolist()])


# ── what several edits do ─────────────────────────────────────────────────────────────────────


def _attributes(tree: Hierarchy) -> dict[int, Attributes]:
    return {node: tree.attributes(node) for node in range(len(tree))}


def _without(tree: Hierarchy, taken: Container[int]) -> Hierarchy:
    """The tree without some inner nodes, whose children hang from what is left above."""
    return tree.select([node for node in range(len(tree)) if node not in taken])


def _grouped(tree: Hierarchy, groups: Sequence[Sequence[int]], names: Sequence[str]) -> Hierarchy:
    """The tree with a new node over each group of siblings; the ids of all but the root stay."""
    root = tree.root + len(groups)
    parents = [root if parent == tree.root else parent for parent in tree.parents.tolist()[:-1]]
    for new, members in enumerate(groups, start=tree.root):
        parents.append(parents[members[0]])
        for node in members:
            parents[node] = new
    return Hierarchy(
        [*parents, -1],
        [*tree.names[:-1], *names, tree.names[-1]],
        attributes=_attributes(tree) | {tree.root: {}, root: tree.attributes(tree.root)},
    )


def _siblings(tree: Hierarchy, nodes: Sequence[Node]) -> list[int]:
    """The ids of some, but not all, children of one node."""
    ids = distinct_ids(tree, nodes)
    if len(ids) < 2:
        raise InputError(f"two siblings or more are needed, got {len(ids)}.")
    parent = tree.parent(ids[0])
    for node in ids:
        if tree.parent(node) != parent:
            raise HierarchyError(
                f"{described(tree, ids[0])} and {described(tree, node)} are not siblings; "
                "move one of them first."
            )
    if len(ids) == len(tree.children(parent)):
        raise HierarchyError(
            f"these are all the children of {described(tree, parent)}, which would have one child "
            "then; if they are to be one, dissolve them."
        )
    return ids


def _check_inner(tree: Hierarchy, node: int) -> None:
    if tree.is_leaf(node):
        raise HierarchyError(f"{described(tree, node)} is a leaf; an inner node is needed.")
