"""The tidy tree drawing of Buchheim, Jünger & Leipert, without recursion and with sizes.

C. Buchheim, M. Jünger, S. Leipert, "Improving Walker's Algorithm to Run in Linear Time", Graph
Drawing 2002. Subtrees are placed left to right, each as close to the ones before it as their
outlines allow; where a big subtree is pushed away from a far one, those in between are spread
evenly. Names of functions follow the paper.
"""

from __future__ import annotations

from collections.abc import Sequence


def tidy_breadth(
    children: Sequence[Sequence[int]], preorder: Sequence[int], sizes: Sequence[float]
) -> list[float]:
    """Where the middle of each node stands across the direction in which the tree grows.

    Args:
        children: of each node, in the order of drawing; empty for a leaf.
        preorder: all nodes, the root first.
        sizes: how much room each node takes; neighbors on one level touch at the closest.

    Returns:
        One number per node; each parent is at the mean of its first and last child.

    Example:
        >>> tidy_breadth([[1, 2], [], [3, 4], [], []], [0, 1, 2, 3, 4], [1, 1, 1, 1, 1])
        [0.5, 0.0, 1.0, 0.5, 1.5]
    """
    walk = _Walk(children, sizes)
    # Nodes that start a family go first, so each node is placed after all that is left of it:
    # a preorder of last children first, read backwards, is the postorder.
    for node in _postorder(children, preorder[0]):
        walk.place(node)
    moved = [0.0] * len(children)
    for node in preorder:
        for child in children[node]:
            moved[child] = moved[node] + walk.mod[node]
    return [walk.prelim[node] + moved[node] for node in range(len(children))]


def _postorder(children: Sequence[Sequence[int]], root: int) -> list[int]:
    order, stack = [], [root]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(children[node])
    return order[::-1]


class _Walk:
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
            overlap = (
                prelim[inner_left]
                + sum_il
                - prelim[inner_right]
                - sum_ir
                + self._distance(inner_left, inner_right)
            )
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
        if self.parent[ancestor] == parent:
            return ancestor
        return self.default_ancestor[parent]

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
