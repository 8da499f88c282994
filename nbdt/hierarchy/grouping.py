"""Edits that put siblings below a new node or remove nodes; see `nbdt.hierarchy.edit`."""

from __future__ import annotations

from collections.abc import Container, Sequence, Sized
from itertools import islice

from nbdt.errors import HierarchyError, InputError
from nbdt.hierarchy.lookup import Node, check_free, described, distinct_ids, node_ids
from nbdt.hierarchy.naming import BY_HAND
from nbdt.hierarchy.rebuild import attributes_by_node
from nbdt.hierarchy.tree import Hierarchy


def group(tree: Hierarchy, nodes: Sequence[Node], name: str = "") -> Hierarchy:
    """Puts some siblings, but not all, below a new node, which takes their place."""
    return _grouped(tree, [_siblings(tree, nodes)], [name])


def dissolve(tree: Hierarchy, node: Node) -> Hierarchy:
    """Removes one inner node other than the root; its children move up to its parent."""
    (taken,) = node_ids(tree, [node])
    _check_inner(tree, taken)
    if taken == tree.root:
        raise HierarchyError("the root cannot be dissolved: its children would have no parent.")
    return _without(tree, {taken})


def merge(tree: Hierarchy, nodes: Sequence[Node], name: str = "") -> Hierarchy:
    """Makes one node of several siblings, with the children of all of them.

    A sibling that is a leaf becomes a child itself. The merged nodes lose their names and
    attributes.
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

    The new nodes hang from the node's parent. A group of one child needs no node: the child hangs
    there itself, and its name in `names` is ignored. The root stays, and the new nodes hang below
    it.

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
        raise InputError("give two or more lists of the children of the node to split, none empty.")
    named = [""] * len(groups) if names is None else names
    if len(named) != len(groups):
        raise InputError(f"{len(groups)} groups need as many names, got {len(named)}.")
    members = distinct_ids(tree, [member for group in groups for member in group])
    wrong = set(members).symmetric_difference(tree.children(taken))
    if wrong:
        node = min(wrong)
        raise HierarchyError(
            f"the groups must be the children of {described(tree, taken)}, but "
            f"{described(tree, node)} {'is not one' if node in members else 'is in no group'}."
        )
    rest = iter(members)
    shares = [(list(islice(rest, size)), name) for size, name in zip(sizes, named, strict=True)]
    made = [share for share in shares if len(share[0]) > 1]
    grouped = _grouped(tree, [share for share, _ in made], [name for _, name in made])
    return grouped if taken == tree.root else _without(grouped, {taken})


# ── what several of these do ───────────────────────────────────────────────────────────────────


def _without(tree: Hierarchy, taken: Container[int]) -> Hierarchy:
    """The tree without some inner nodes; their children move up to the next remaining ancestor."""
    return tree.select([node for node in range(len(tree)) if node not in taken])


def _grouped(tree: Hierarchy, groups: Sequence[Sequence[int]], names: Sequence[str]) -> Hierarchy:
    """The tree with a new node over each group of siblings; all ids except the root's stay."""
    for name in names:
        check_free(name, tree.classes, "the new node")
    root = tree.root + len(groups)
    parents = [root if parent == tree.root else parent for parent in tree.parents.tolist()[:-1]]
    for new, members in enumerate(groups, start=tree.root):
        parents.append(parents[members[0]])
        for node in members:
            parents[node] = new
    return Hierarchy(
        [*parents, -1],
        [*tree.names[:-1], *names, tree.names[-1]],
        attributes=attributes_by_node(tree)
        | {node: dict(BY_HAND) if name else {} for node, name in enumerate(names, start=tree.root)}
        | {root: tree.attributes(tree.root)},
    )


def _siblings(tree: Hierarchy, nodes: Sequence[Node]) -> list[int]:
    """The ids of some, but not all, children of one node."""
    ids = distinct_ids(tree, nodes)
    if len(ids) < 2:
        raise InputError(f"expected two or more siblings, got {len(ids)}.")
    parent = tree.parent(ids[0])
    for node in ids:
        if tree.parent(node) != parent:
            raise HierarchyError(
                f"{described(tree, ids[0])} and {described(tree, node)} are not siblings; "
                "move one of them first."
            )
    if len(ids) == len(tree.children(parent)):
        raise HierarchyError(
            f"these are all the children of {described(tree, parent)}, which would have one "
            "child left; to join them, dissolve them instead."
        )
    return ids


def _check_inner(tree: Hierarchy, node: int) -> None:
    if tree.is_leaf(node):
        raise HierarchyError(f"{described(tree, node)} is a leaf; expected an inner node.")
