"""Where the nodes of a drawn tree stand, in abstract units.

Every node has a place across the direction in which the tree grows, its `breadth`, and one along
it, its `depth`. Breadth is in the units of `sizes`, 1 a node by default; depth counts levels, or
is a merge distance. All walks are loops, so that a tree may be as deep as it has classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.view.folding import Folding

LayoutKind = Literal["tidy", "dendrogram", "indented"]
LAYOUT_KINDS: tuple[LayoutKind, ...] = get_args(LayoutKind)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each node stands; all arrays have the shape (nodes,).

    `breadth` is the middle of each node across the direction of growth, the first edge being at 0;
    `depth` how far it is from the root along it, 0 at the root; `sizes` the room it takes across.
    """

    breadth: FloatArray
    depth: FloatArray
    sizes: FloatArray

    @property
    def extent(self) -> float:
        """Where the last edge of all nodes is across the direction of growth."""
        return float((self.breadth + self.sizes / 2).max())


def layout(
    tree: Hierarchy | Folding,
    *,
    kind: LayoutKind = "tidy",
    sizes: Sequence[float] | FloatArray | None = None,
    heights: Sequence[float] | FloatArray | None = None,
) -> Layout:
    """Lays a tree out, in time linear in its nodes.

    Args:
        tree: the tree, or what a view draws of it; children keep their order.
        kind: "tidy" packs subtrees as closely as possible, centers a parent above its first and
            last child, and draws equal subtrees alike (Buchheim, Jünger & Leipert, "Improving
            Walker's Algorithm to Run in Linear Time", GD 2002). "dendrogram" puts all leaves on
            one line, each at a place of its own. "indented" gives each node a row, in preorder,
            like a file browser.
        sizes: how much room each node needs across the direction of growth; shape (nodes,).
            A dendrogram uses those of the leaves.
        heights: for a dendrogram, how high each node stands above the leaves, as
            `Hierarchy.merge_heights`; by default its height in edges.

    The places are by node id for a `Hierarchy`, by item for a `Folding`.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> placed = layout(tree)
        >>> placed.breadth.tolist(), placed.depth.tolist()
        ([1.0, 2.0, 0.5, 1.5, 1.0], [2.0, 2.0, 1.0, 1.0, 0.0])
    """
    if kind not in LAYOUT_KINDS:
        raise InputError(f"kind must be one of {', '.join(LAYOUT_KINDS)}; got {kind!r:.60}.")
    if heights is not None and kind != "dendrogram":
        raise InputError(f'only kind "dendrogram" has branch heights, not {kind!r}.')
    room = np.ones(len(tree)) if sizes is None else _checked("sizes", sizes, len(tree))
    walk = _Walk(tree.parents)
    depth = np.array(walk.depths, dtype=np.float64)
    if kind == "tidy":
        breadth = np.array(_tidy_breadth(walk.children, walk.preorder, room.tolist()))
    elif kind == "dendrogram":
        breadth = walk.dendrogram_breadth(room)
        above = walk.heights() if heights is None else _checked("heights", heights, len(tree))
        depth = above.max() - above
        room = np.where([not below for below in walk.children], room, 0)
    else:
        breadth = np.empty(len(tree))
        in_order = room[walk.preorder]
        breadth[walk.preorder] = np.cumsum(in_order) - in_order / 2
    return Layout(breadth - (breadth - room / 2).min(), depth, room)


class _Walk:
    """The children, the preorder and the depths of a tree given by its parents."""

    def __init__(self, parents: IntArray) -> None:
        self.children: list[list[int]] = [[] for _ in parents]
        root = 0
        for node, parent in enumerate(parents.tolist()):
            if parent >= 0:
                self.children[parent].append(node)
            else:
                root = node
        self.depths = [0] * len(parents)
        self.preorder: list[int] = []
        stack = [root]
        while stack:
            node = stack.pop()
            self.preorder.append(node)
            for child in self.children[node]:
                self.depths[child] = self.depths[node] + 1
            stack.extend(reversed(self.children[node]))

    def heights(self) -> FloatArray:
        """The number of edges from each node down to its deepest leaf."""
        heights = np.zeros(len(self.children))
        for node in reversed(self.preorder):
            heights[node] = max((1 + heights[child] for child in self.children[node]), default=0)
        return heights

    def dendrogram_breadth(self, room: FloatArray) -> FloatArray:
        """Leaves side by side, each inner node between its first and its last child."""
        breadth = np.zeros(len(self.children))
        leaves = [node for node in self.preorder if not self.children[node]]
        breadth[leaves] = np.cumsum(room[leaves]) - room[leaves] / 2
        for node in reversed(self.preorder):
            if below := self.children[node]:
                breadth[node] = (breadth[below[0]] + breadth[below[-1]]) / 2
        return breadth


def _checked(what: str, values: Sequence[float] | FloatArray, count: int) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be numbers, one per node; got {values!r:.60}.") from None
    if array.shape != (count,) or not np.isfinite(array).all() or (array < 0).any():
        raise InputError(
            f"{what} must be {count} numbers, one per node, finite and not negative; got an array "
            f"of shape {array.shape}."
        )
    return array


def _tidy_breadth(
    children: Sequence[Sequence[int]], preorder: Sequence[int], sizes: Sequence[float]
) -> list[float]:
    """Where the middle of each node stands: Buchheim, Jünger & Leipert, without recursion.

    Subtrees are placed left to right, each as close to the ones before it as their outlines allow;
    where a big subtree is pushed away from a far one, those in between are spread evenly. Names of
    methods follow the paper.

    A parent is at the mean of its first and last child; neighbors on one level touch at the
    closest. `children` are in the order of drawing; `sizes` is how much room each node takes.
    """
    walk = _Tidy(children, sizes)
    # Each node is placed after all that is left of it and below it: a preorder of last children
    # first, read backwards, is the postorder.
    order, stack = [], [preorder[0]]
    while stack:
        order.append(stack.pop())
        stack.extend(children[order[-1]])
    for node in reversed(order):
        walk.place(node)
    moved = [0.0] * len(children)
    for node in preorder:
        for child in children[node]:
            moved[child] = moved[node] + walk.mod[node]
    return [walk.prelim[node] + moved[node] for node in range(len(children))]


class _Tidy:
    """The first walk of the algorithm: preliminary places, and how far subtrees were moved."""

    def __init__(self, children: Sequence[Sequence[int]], sizes: Sequence[float]) -> None:
        n = len(children)
        self.children = children
        self.sizes = sizes
        self.prelim = [0.0] * n  # the place among its siblings
        self.mod = [0.0] * n  # how far all below the node has to be moved
        self.shift = [0.0] * n
        self.change = [0.0] * n
        self.thread = [-1] * n  # the next node on the outline, where it is no child
        self.ancestor = list(range(n))
        self.number = [0] * n  # the place in the family, from 0
        self.parent = [-1] * n
        for node, family in enumerate(children):
            for number, child in enumerate(family):
                self.number[child] = number
                self.parent[child] = node
        # Of each node, the child whose outline is lowest so far, to which threads lead.
        self.default_ancestor = [family[0] if family else -1 for family in children]

    def place(self, node: int) -> None:
        """Places a node whose children, and whose siblings on the left, are placed."""
        family = self.children[node]
        if family:
            self._execute_shifts(family)
        middle = (self.prelim[family[0]] + self.prelim[family[-1]]) / 2 if family else 0.0
        if not self.number[node]:
            self.prelim[node] = middle
            return
        before = self.children[self.parent[node]][self.number[node] - 1]
        self.prelim[node] = self.prelim[before] + self._distance(before, node)
        if family:
            self.mod[node] = self.prelim[node] - middle
        self._apportion(node, before)

    def _distance(self, left: int, right: int) -> float:
        return (self.sizes[left] + self.sizes[right]) / 2

    def _next_left(self, node: int) -> int:
        return self.children[node][0] if self.children[node] else self.thread[node]

    def _next_right(self, node: int) -> int:
        return self.children[node][-1] if self.children[node] else self.thread[node]

    def _apportion(self, node: int, before: int) -> None:
        """Moves the subtree of `node` to the right until it overlaps nothing on its left."""
        prelim, mod = self.prelim, self.mod
        parent = self.parent[node]
        # The four outlines followed: outer and inner, of this subtree and of all on its left.
        inner_right, outer_right = node, node
        inner_left, outer_left = before, self.children[parent][0]
        sum_ir, sum_or = mod[inner_right], mod[outer_right]
        sum_il, sum_ol = mod[inner_left], mod[outer_left]
        left, right = self._next_right(inner_left), self._next_left(inner_right)
        while left >= 0 and right >= 0:
            inner_left, inner_right = left, right
            outer_left = self._next_left(outer_left)
            outer_right = self._next_right(outer_right)
            self.ancestor[outer_right] = node
            overlap = prelim[inner_left] + sum_il - prelim[inner_right] - sum_ir
            overlap += self._distance(inner_left, inner_right)
            if overlap > 0:
                self._move_subtree(self._greatest_uncommon(inner_left, parent), node, overlap)
                sum_ir += overlap
                sum_or += overlap
            sum_il += mod[inner_left]
            sum_ir += mod[inner_right]
            sum_ol += mod[outer_left]
            sum_or += mod[outer_right]
            left, right = self._next_right(inner_left), self._next_left(inner_right)
        if left >= 0 and self._next_right(outer_right) < 0:
            self.thread[outer_right] = left
            mod[outer_right] += sum_il - sum_or
        if right >= 0 and self._next_left(outer_left) < 0:
            self.thread[outer_left] = right
            mod[outer_left] += sum_ir - sum_ol
            self.default_ancestor[parent] = node

    def _greatest_uncommon(self, inner_left: int, parent: int) -> int:
        """The child of `parent` that the node on the left outline belongs to."""
        ancestor = self.ancestor[inner_left]
        return ancestor if self.parent[ancestor] == parent else self.default_ancestor[parent]

    def _move_subtree(self, left: int, right: int, distance: float) -> None:
        each = distance / (self.number[right] - self.number[left])
        self.change[right] -= each
        self.shift[right] += distance
        self.change[left] += each
        self.prelim[right] += distance
        self.mod[right] += distance

    def _execute_shifts(self, family: Sequence[int]) -> None:
        """Spreads the subtrees between two that were pushed apart."""
        shift = change = 0.0
        for node in reversed(family):
            self.prelim[node] += shift
            self.mod[node] += shift
            change += self.change[node]
            shift += self.shift[node] + change
