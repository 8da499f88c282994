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
import numpy.typing as npt

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.view.folding import Folding
from nbdt.view.tidy import tidy_breadth

LayoutKind = Literal["tidy", "dendrogram", "indented"]
LAYOUT_KINDS: tuple[LayoutKind, ...] = get_args(LayoutKind)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each node stands; all arrays have the shape (nodes,).

    Attributes:
        breadth: the middle of each node across the direction of growth. The first edge is at 0.
        depth: how far each node is from the root along it, 0 at the root.
        sizes: how much room each node takes across.
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

    Returns:
        The places, by node id for a `Hierarchy` and by item for a `Folding`.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> placed = layout(tree)
        >>> placed.breadth.tolist(), placed.depth.tolist()
        ([1.0, 2.0, 0.5, 1.5, 1.0], [2.0, 2.0, 1.0, 1.0, 0.0])
        >>> layout(tree, kind="dendrogram").depth.tolist()
        [2.0, 2.0, 2.0, 1.0, 0.0]
    """
    if kind not in LAYOUT_KINDS:
        raise InputError(f"kind must be one of {', '.join(LAYOUT_KINDS)}; got {kind!r:.60}.")
    if heights is not None and kind != "dendrogram":
        raise InputError(f'only kind "dendrogram" has branch heights, not {kind!r}.')
    room = np.ones(len(tree)) if sizes is None else _checked("sizes", sizes, len(tree))
    walk = _Walk(tree.parents)
    depth = np.array(walk.depths, dtype=np.float64)
    if kind == "tidy":
        breadth = np.array(tidy_breadth(walk.children, walk.preorder, room.tolist()))
    elif kind == "dendrogram":
        breadth = walk.dendrogram_breadth(room)
        above = walk.heights() if heights is None else _checked("heights", heights, len(tree))
        depth = above.max() - above
        room = np.where(walk.is_leaf, room, 0)
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

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        return np.array([not below for below in self.children])

    def heights(self) -> FloatArray:
        """The number of edges from each node down to its deepest leaf."""
        heights = np.zeros(len(self.children))
        for node in reversed(self.preorder):
            if self.children[node]:
                heights[node] = 1 + max(heights[child] for child in self.children[node])
        return heights

    def dendrogram_breadth(self, room: FloatArray) -> FloatArray:
        """Leaves side by side, each inner node between its first and its last child."""
        breadth = np.zeros(len(self.children))
        leaves = [node for node in self.preorder if not self.children[node]]
        breadth[leaves] = np.cumsum(room[leaves]) - room[leaves] / 2
        for node in reversed(self.preorder):
            if self.children[node]:
                first, *_, last = self.children[node]
                breadth[node] = (breadth[first] + breadth[last]) / 2
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
