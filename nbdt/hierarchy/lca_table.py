"""Where in a tree two nodes come together, for many pairs at once."""

from __future__ import annotations

import numpy as np

from nbdt.hierarchy.tree import Hierarchy
from nbdt.hierarchy.validation import IntArray


class LcaTable:
    """A tree's ancestors 1, 2, 4, … steps up, by which a chain of thousands is climbed in a dozen.

    Args:
        tree: the tree.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "pet", "thing"])
        >>> joins = LcaTable(tree)
        >>> cats, others = np.array([0, 0]), np.array([1, 2])
        >>> joins.lca(cats, others).tolist(), joins.towards(cats, others).tolist()
        ([3, 4], [0, 3])
    """

    def __init__(self, tree: Hierarchy) -> None:
        self.tree = tree
        jump = tree.parents.copy()
        jump[tree.root] = tree.root
        self._jumps = [jump]
        while 2 ** len(self._jumps) <= tree.depths.max():
            jump = jump[jump]
            self._jumps.append(jump)

    def towards(self, leaves: IntArray, others: IntArray) -> IntArray:
        """Each leaf's highest ancestor, or itself, that does not have the other leaf under it.

        Args:
            leaves: classes; shape (pairs,).
            others: others, none the same as its partner; shape (pairs,).
        """
        start, sizes = self.tree.leaf_start, self.tree.sizes
        place, nodes = start[others], leaves
        for jump in reversed(self._jumps):
            above = jump[nodes]
            holds = (start[above] <= place) & (place < start[above] + sizes[above])
            nodes = np.where(holds, nodes, above)
        return nodes

    def lca(self, leaves: IntArray, others: IntArray) -> IntArray:
        """The lowest common ancestors of leaves and others; shape (pairs,). See `towards`."""
        return self.tree.parents[self.towards(leaves, others)]
