"""The immutable `Hierarchy`: a tree whose leaves are the classes of a classifier.

A *node* is a leaf or an inner node. Nodes ``0 … C-1`` are the leaves, one per class, in the
classifier's order; the inner nodes follow and the root is last, as in scipy's linkage matrices.
The *depth* of a node counts the edges up to the root, its *height* the edges down to its deepest
leaf, and its *size* the leaves under it. A *merge height* is the distance at which a clustering
joined a node's children.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, final

import numpy as np

from nbdt.display import Displayed
from nbdt.errors import HierarchyError, InputError, NotFoundError
from nbdt.hierarchy.classes import ambiguity, canonical
from nbdt.hierarchy.text import draw, join_names
from nbdt.hierarchy.validation import (
    Attributes,
    FloatArray,
    IntArray,
    check_branching,
    checked_attributes,
    checked_heights,
    checked_leaves,
    checked_names,
    checked_parents,
    children_by_parent,
    frozen,
    is_integer,
    raise_cycle,
)

_NOTHING: Attributes = MappingProxyType({})


@final
class Hierarchy(Displayed):
    """An immutable tree whose leaves are the classes of a classifier.

    Args:
        parents: the parent of every node, −1 at the root; shape (nodes,). Leaves come first, in
            the order of the classifier's outputs, and the root comes last.
        names: the names of the C classes, or of all nodes. An inner node may be nameless (``""``).
        merge_heights: the distance at which each node's children were joined, 0 at the leaves;
            shape (nodes,). None for trees that were not clustered.
        attributes: other data of single nodes, as ``{node: {key: value}}`` with JSON values:
            the wnid and gloss of a WordNet concept, how a name was found, ….

    Raises:
        HierarchyError: this is not a tree of classes; the message names the offending node.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> print(tree)
        thing
        ├─ car
        └─ animal
           ├─ cat
           └─ dog
        >>> tree.path(1)
        (4, 3, 1)
        >>> tree.name(tree.lca(0, 1))
        'animal'
    """

    __slots__ = (
        "_attributes",
        "_bearers",
        "_child_ids",
        "_child_start",
        "_depths",
        "_hash",
        "_heights",
        "_leaf_order",
        "_leaf_start",
        "_merge_heights",
        "_names",
        "_num_classes",
        "_parents",
        "_preorder",
        "_sizes",
    )

    _parents: IntArray
    _names: tuple[str, ...]
    _num_classes: int
    _merge_heights: FloatArray | None
    _attributes: Mapping[int, Attributes]
    _bearers: dict[str, list[int]] | None
    _child_ids: IntArray
    _child_start: IntArray
    _preorder: IntArray
    _depths: IntArray
    _heights: IntArray
    _sizes: IntArray
    _leaf_order: IntArray
    _leaf_start: IntArray
    _hash: int

    def __init__(
        self,
        parents: Sequence[int] | IntArray,
        names: Sequence[str],
        *,
        merge_heights: Sequence[float] | FloatArray | None = None,
        attributes: Mapping[int, Attributes] | None = None,
    ) -> None:
        parent_array = checked_parents(parents)
        child_ids, child_start = children_by_parent(parent_array)
        num_classes = checked_leaves(child_start)
        check_branching(child_start)

        put = object.__setattr__
        put(self, "_parents", parent_array)
        put(self, "_child_ids", child_ids)
        put(self, "_child_start", child_start)
        put(self, "_num_classes", num_classes)
        put(self, "_names", checked_names(names, num_classes, len(parent_array)))
        put(self, "_merge_heights", checked_heights(merge_heights, num_classes, len(parent_array)))
        put(self, "_attributes", checked_attributes(attributes, len(parent_array)))
        put(self, "_bearers", None)
        self._measure()
        put(self, "_hash", hash((self._parents.tobytes(), self._names)))

    def _measure(self) -> None:
        n, num_classes = len(self._parents), self._num_classes
        parents = self._parents.tolist()
        child_ids, child_start = self._child_ids.tolist(), self._child_start.tolist()

        # Children are pushed in reverse, so that the first one is visited first.
        depths = [0] * n
        preorder: list[int] = []
        stack = [n - 1]
        while stack:
            node = stack.pop()
            preorder.append(node)
            children = child_ids[child_start[node] : child_start[node + 1]]
            for child in children:
                depths[child] = depths[node] + 1
            stack.extend(reversed(children))
        if len(preorder) < n:
            raise_cycle(parents, preorder)

        sizes, heights = [0] * n, [0] * n
        for node in reversed(preorder):
            if node < num_classes:
                sizes[node] = 1
            above = parents[node]
            if above >= 0:
                sizes[above] += sizes[node]
                heights[above] = max(heights[above], heights[node] + 1)

        leaf_start = [0] * n
        leaf_order: list[int] = []
        for node in preorder:
            leaf_start[node] = len(leaf_order)
            if node < num_classes:
                leaf_order.append(node)

        put = object.__setattr__
        put(self, "_preorder", frozen(preorder))
        put(self, "_depths", frozen(depths))
        put(self, "_heights", frozen(heights))
        put(self, "_sizes", frozen(sizes))
        put(self, "_leaf_order", frozen(leaf_order))
        put(self, "_leaf_start", frozen(leaf_start))

    # ── the whole tree ────────────────────────────────────────────────────────────────────────

    @property
    def parents(self) -> IntArray:
        """The parent of every node, −1 at the root; shape (nodes,), read-only."""
        return self._parents

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every node, ``""`` where an inner node has none."""
        return self._names

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the classifier's order."""
        return self._names[: self._num_classes]

    @property
    def num_classes(self) -> int:
        """The number of leaves, C."""
        return self._num_classes

    @property
    def root(self) -> int:
        """The root's id, which is the last."""
        return len(self._parents) - 1

    @property
    def inner(self) -> range:
        """The ids of the inner nodes, the root last."""
        return range(self._num_classes, len(self._parents))

    @property
    def merge_heights(self) -> FloatArray | None:
        """The distance at which each node's children were joined; shape (nodes,), read-only."""
        return self._merge_heights

    @property
    def depths(self) -> IntArray:
        """The number of edges from each node up to the root; shape (nodes,), read-only."""
        return self._depths

    @property
    def heights(self) -> IntArray:
        """The edges from each node down to its deepest leaf; shape (nodes,), read-only."""
        return self._heights

    @property
    def sizes(self) -> IntArray:
        """The number of classes under each node; shape (nodes,), read-only."""
        return self._sizes

    @property
    def leaf_order(self) -> IntArray:
        """The classes from left to right as the tree is drawn; shape (C,), read-only.

        The classes under node v are ``leaf_order[leaf_start[v] : leaf_start[v] + sizes[v]]``.
        """
        return self._leaf_order

    @property
    def leaf_start(self) -> IntArray:
        """Where each node's classes begin in `leaf_order`; shape (nodes,), read-only."""
        return self._leaf_start

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self._parents)

    # ── one node ──────────────────────────────────────────────────────────────────────────────

    def name(self, node: int) -> str:
        """The node's name, or ``"node 12"`` for an inner node that has none."""
        return self._names[self._checked(node)] or f"node {node}"

    def attributes(self, node: int) -> Attributes:
        """The node's attributes: its wnid, its gloss, how its name was found, …."""
        return self._attributes.get(self._checked(node), _NOTHING)

    def find(self, name: str) -> int:
        """The id of the node with that name; a class is preferred to an inner node.

        ``"node 12"`` finds node 12 if it has no name, unless another node has that name.

        Raises:
            NotFoundError: no such node; the message suggests similar names.
            InputError: several inner nodes have the name, and no class.
        """
        bearers = self._by_name()
        found = None
        if isinstance(name, str):
            found = bearers.get(name) or bearers.get(canonical(name))
        if found is None:
            if isinstance(name, str) and (several := ambiguity(name, self.classes)):
                raise NotFoundError(f"{several}.")
            close = difflib.get_close_matches(str(name), filter(None, self._names), n=3)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
            raise NotFoundError(f"no node is called {name!r}{hint}")
        if len(found) > 1 and found[0] >= self._num_classes:
            ids = join_names(map(str, found), len(found), most=6)
            raise InputError(f"the nodes {ids} are all called {name!r}; give the id.")
        return found[0]

    def _by_name(self) -> dict[str, list[int]]:
        # Made when a node is first looked up; lowest id first.
        if self._bearers is None:
            bearers: dict[str, list[int]] = {}
            for node, name in enumerate(self._names):
                if name:
                    bearers.setdefault(name, []).append(node)
            for node in self.inner:
                if not self._names[node]:
                    bearers.setdefault(self.name(node), [node])
            for name in [name for name in bearers if not name.isascii()]:
                bearers.setdefault(canonical(name), bearers[name])
            object.__setattr__(self, "_bearers", bearers)
            return bearers
        return self._bearers

    def is_leaf(self, node: int) -> bool:
        """Whether the node is a class."""
        return self._checked(node) < self._num_classes

    def parent(self, node: int) -> int:
        """The node's parent, or −1 for the root."""
        return int(self._parents[self._checked(node)])

    def children(self, node: int) -> tuple[int, ...]:
        """The node's children, lowest id first; empty for a leaf."""
        node = self._checked(node)
        start, stop = self._child_start[node], self._child_start[node + 1]
        return tuple(self._child_ids[start:stop].tolist())

    def leaves(self, node: int) -> tuple[int, ...]:
        """The classes under the node, lowest id first; a leaf's only class is itself."""
        start = self._leaf_start[self._checked(node)]
        return tuple(sorted(self._leaf_order[start : start + self._sizes[node]].tolist()))

    def depth(self, node: int) -> int:
        """The number of edges from the node up to the root."""
        return int(self._depths[self._checked(node)])

    def height(self, node: int) -> int:
        """The number of edges from the node down to its deepest leaf."""
        return int(self._heights[self._checked(node)])

    def path(self, node: int) -> tuple[int, ...]:
        """The nodes from the root down to this one, both included."""
        return (*reversed(self.ancestors(node)), int(node))

    def ancestors(self, node: int) -> tuple[int, ...]:
        """The nodes above this one, its parent first and the root last; empty for the root."""
        above, parent = [], int(self._parents[self._checked(node)])
        while parent >= 0:
            above.append(parent)
            parent = int(self._parents[parent])
        return tuple(above)

    # ── two nodes ─────────────────────────────────────────────────────────────────────────────

    def is_ancestor(self, above: int, below: int) -> bool:
        """Whether `above` lies on the path from the root to `below`; a node is its own ancestor."""
        start, size = self._leaf_start[self._checked(above)], self._sizes[above]
        inside = start <= self._leaf_start[self._checked(below)] < start + size
        return bool(inside and self._depths[above] <= self._depths[below])

    def lca(self, a: int, b: int) -> int:
        """The lowest common ancestor: the deepest node above, or equal to, each. O(depth)."""
        while not self.is_ancestor(a, b):
            a = int(self._parents[a])
        return int(a)

    def distance(self, a: int, b: int) -> int:
        """The number of edges between two nodes. O(depth)."""
        return self.depth(a) + self.depth(b) - 2 * self.depth(self.lca(a, b))

    # ── parts and orders ──────────────────────────────────────────────────────────────────────

    def preorder(self, node: int | None = None) -> Iterator[int]:
        """The nodes under `node` (default: the root) and itself, depth first, lowest ids first."""
        if node is None:
            return iter(self._preorder.tolist())
        order, stack = [], [self._checked(node)]
        while stack:
            order.append(stack.pop())
            stack.extend(reversed(self.children(order[-1])))
        return iter(order)

    def postorder(self, node: int | None = None) -> Iterator[int]:
        """The nodes under `node` (default: the root) and itself, every child before its parent."""
        # A preorder that takes children right to left, read backwards.
        top = self.root if node is None else self._checked(node)
        stack, order = [top], []
        while stack:
            order.append(stack.pop())
            stack.extend(self.children(order[-1]))
        return reversed(order)

    def levelorder(self, node: int | None = None) -> Iterator[int]:
        """The nodes under `node` (default: the root) and itself, level by level from the top."""
        order = [self.root if node is None else self._checked(node)]
        for above in order:
            order.extend(self.children(above))
        return iter(order)

    def subtree(self, node: int) -> Hierarchy:
        """The tree under one inner node, its classes renumbered in their order; attributes stay."""
        if self.is_leaf(node):
            raise HierarchyError(
                f"node {node} ({self.name(node)!r}) is a leaf, and a tree needs at least two "
                f"classes; give an inner node ({self._num_classes} to {self.root})."
            )
        kept = sorted(self.preorder(node))
        # The new root must be last, whatever its id was.
        kept.remove(node)
        kept.append(node)
        return self.select(kept)

    def select(self, kept: Sequence[int]) -> Hierarchy:
        """The tree of these nodes in this order, each below its nearest kept ancestor.

        The nodes keep their names, merge heights and attributes, even those that are no longer
        true; `nbdt.hierarchy.edit.restrict` removes classes and keeps only what is still true.
        """
        new_id = {self._checked(old): new for new, old in enumerate(kept)}
        if len(new_id) < len(kept):
            raise HierarchyError("select got a node twice; give each node once.")
        parents = [-1] * len(kept)
        nearest = [-1] * len(self)  # the new id of each node's nearest kept ancestor, or itself
        for node in self._preorder.tolist():
            above = nearest[self._parents[node]] if node != self.root else -1
            nearest[node] = new_id.get(node, above)
            if node in new_id:
                parents[new_id[node]] = above
        return Hierarchy(
            parents,
            [self._names[node] for node in kept],
            merge_heights=None if self._merge_heights is None else self._merge_heights[list(kept)],
            attributes={
                new_id[node]: values for node, values in self._attributes.items() if node in new_id
            },
        )

    # ── as an object ──────────────────────────────────────────────────────────────────────────

    def to_text(self, max_lines: int = 60, labels: Mapping[int, str] | None = None) -> str:
        """Draws the tree as plain text, one node a line.

        Nodes are opened level by level from the root until `max_lines` are used up; a closed node
        shows some of its classes. `labels` replace the names of some nodes.

        Example:
            >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
            >>> print(tree.to_text(max_lines=3, labels={4: "thing (root)"}))
            thing (root)
            ├─ car
            └─ animal (2 classes: cat, dog)
        """
        named = labels or {}
        return draw(
            self.root,
            self.children,
            lambda node: named.get(node) or self.name(node),
            self._contents,
            max_lines,
        )

    def _contents(self, node: int) -> str:
        start, size = int(self._leaf_start[node]), int(self._sizes[node])
        some = (self._names[leaf] for leaf in self._leaf_order[start : start + size])
        return f"{size:,} classes: {join_names(some, size)}"

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        names = join_names(self.classes, self._num_classes, most=5)
        return (
            f"Hierarchy({self._num_classes} classes, {len(self)} nodes, "
            f"depth {self.height(self.root)}: {names})"
        )

    def __eq__(self, other: object) -> bool:
        """Whether both are the same tree: parents, names, merge heights and attributes."""
        if not isinstance(other, Hierarchy):
            return NotImplemented
        mine, theirs = self._merge_heights, other._merge_heights
        return (
            self._names == other._names
            and np.array_equal(self._parents, other._parents)
            and ((mine is None) == (theirs is None))
            and (mine is None or theirs is None or np.array_equal(mine, theirs))
            and self._attributes == other._attributes
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        attributes = {node: dict(values) for node, values in self._attributes.items()}
        return _rebuilt, (self._parents, self._names, self._merge_heights, attributes)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a Hierarchy never changes, so {name!r} cannot be set; "
            "nbdt.hierarchy.edit makes changed copies."
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Hierarchy never changes, so {name!r} cannot be deleted.")

    def _checked(self, node: int) -> int:
        if is_integer(node) and 0 <= node < len(self._parents):
            return int(node)
        shown = int(node) if is_integer(node) else node
        raise NotFoundError(f"there is no node {shown!r}; this tree has nodes 0 to {self.root}.")


def _rebuilt(
    parents: IntArray,
    names: tuple[str, ...],
    merge_heights: FloatArray | None,
    attributes: Mapping[int, Attributes],
) -> Hierarchy:
    return Hierarchy(parents, names, merge_heights=merge_heights, attributes=attributes)
