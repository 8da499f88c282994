"""`regraft`: one part of a tree put beside another, the step by which trees are searched."""

from __future__ import annotations

from nbdt.errors import HierarchyError
from nbdt.hierarchy.invalidate import invalidate, refresh_names
from nbdt.hierarchy.lookup import Node, check_free, described, node_ids
from nbdt.hierarchy.naming import BY_HAND
from nbdt.hierarchy.relabel import attributes_by_node
from nbdt.hierarchy.table import prune
from nbdt.hierarchy.tree import Hierarchy


def regraft(tree: Hierarchy, node: Node, beside: Node, name: str = "") -> Hierarchy:
    """Puts a node, with all that is under it, and another one below a new node of their own.

    The new node takes the place of the other. A binary tree stays binary. Where the old parent is
    left with one child, it is taken out and the child takes its place. In phylogenetics this is
    called subtree pruning and regrafting (Swofford and Olsen 1990). `edit.move` hangs a node below
    another instead. What becomes of ids, names and merge heights says `nbdt.hierarchy.edit`.
    Two nodes that have a parent of their own already stay as they are.

    Args:
        tree: the tree.
        node: the node to move.
        beside: the node beside which it comes, a class or not; the root for a new root above.
        name: the new node's name.

    Raises:
        HierarchyError: the node is the root, or the other is the node itself or under it.
        InputError: a name is that of several inner nodes, or a class is called as the new node.
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
    if tree.is_ancestor(moved, other):
        raise HierarchyError(
            f"{described(tree, moved)} cannot be put beside {described(tree, other)}, which is "
            f"{'itself' if moved == other else 'under it'}."
        )
    check_free(name, tree.classes, "the new node")
    parent = tree.parent(moved)
    if parent in (other, tree.parent(other)) and len(tree.children(parent)) == 2:
        return tree
    # What is above both places has the same classes as before.
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
    return refresh_names(prune(parents, names, attributes=known))
