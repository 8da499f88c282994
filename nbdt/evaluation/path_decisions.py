"""The decisions on the way to one node each, for many samples at once.

Only the decisions on these ways are looked at, not those of the whole tree: at 1,000 classes that
is a dozen of a thousand.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.lookup import LcaTable
from nbdt.hierarchy.validation import FloatArray, IntArray


class PathDecisions:
    """What was decided on the way from the root to one node, the target, of each sample.

    All arrays have an entry a decision, in no order that matters; see `Walker.ways`.

    Attributes:
        samples: the row of the sample.
        nodes: where it was decided.
        towards: the child towards the target.
        taken: the likeliest child; of equals, the lowest id.
        margins: log p of the child towards the target less that of its likeliest sibling, in nats:
            positive where the way is taken, negative where it is left.
        values: log p of all children of these nodes, a run a decision.
        starts: where the runs begin.
        own: log p of the child towards the target.
    """

    def __init__(
        self, samples: IntArray, towards: IntArray, family: _Family, values: FloatArray
    ) -> None:
        self.samples = samples
        self.nodes = family.nodes
        self.towards = towards
        self.values = values
        self.starts = family.starts
        is_own = family.children == np.repeat(towards, family.counts)
        self.own: FloatArray = values[is_own]
        self._highest = np.maximum.reduceat(values, family.starts)
        others = np.where(is_own, -np.inf, values)
        self.margins: FloatArray = self.own - np.maximum.reduceat(others, family.starts)
        likeliest = values == np.repeat(self._highest, family.counts)
        nobody = family.children.max(initial=0) + 1
        self.taken: IntArray = np.minimum.reduceat(
            np.where(likeliest, family.children, nobody), family.starts
        )

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the decision takes the child towards the target."""
        return np.equal(self.taken, self.towards)

    @cached_property
    def confidences(self) -> FloatArray:
        """The probability of the child taken."""
        confidences: FloatArray = np.exp(self._highest)
        return confidences

    @cached_property
    def entropies(self) -> FloatArray:
        """The entropy of each decision, −Σ p log p, in nats."""
        shares = np.exp(self.values)
        terms = -shares * np.where(shares > 0, self.values, 0)
        entropies: FloatArray = np.add.reduceat(terms, self.starts)
        return entropies

    def totals(self, values: FloatArray, batch: int) -> FloatArray:
        """The sum over each sample's way of one value a decision; shape (batch,)."""
        return np.bincount(self.samples, weights=values, minlength=batch).astype(np.float64)

    def least_margins(self, batch: int) -> FloatArray:
        """The smallest margin on each sample's way, +∞ where it has no decision; (batch,)."""
        least = np.full(batch, np.inf)
        np.minimum.at(least, self.samples, self.margins)
        return least


class _Family:
    """The children of many nodes in one array, a run a node."""

    def __init__(
        self, nodes: IntArray, counts: IntArray, first: IntArray, children: IntArray
    ) -> None:
        self.nodes = nodes
        self.counts = counts
        self.starts = np.cumsum(counts) - counts
        places = np.arange(int(counts.sum())) + np.repeat(first - self.starts, counts)
        self.children = children[places]


class Walker:
    """A tree's tables for walking it: who is whose child, and where paths part.

    Args:
        tree: the tree.

    Attributes:
        tree: the tree.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> walker = Walker(tree)
        >>> decisions = np.log([[0.6, 0.4, 0.8, 0.2, 1.0]])  # p(node | its parent)
        >>> ways = walker.ways(decisions, np.array([0]))  # to "cat", the true class
        >>> [tree.name(node) for node in ways.nodes], ways.right.tolist()
        (['animal', 'thing'], [True, False])
        >>> walker.parting(np.array([0]), np.array([2]))  # where "cat" and "car" part
        (array([4]), array([3]), array([2]))
    """

    def __init__(self, tree: Hierarchy) -> None:
        self.tree = tree
        self._arity = np.bincount(tree.parents[:-1], minlength=len(tree))
        self._first = np.cumsum(self._arity) - self._arity
        self._children = np.argsort(tree.parents[:-1], kind="stable")
        self._joins = LcaTable(tree)

    def ways(self, decisions: npt.NDArray[np.floating], targets: IntArray) -> PathDecisions:
        """What was decided on the way from the root to each sample's target.

        Args:
            decisions: log p(node | its parent), by node id; shape (batch, nodes).
            targets: a node a sample; shape (batch,). The way to the root has no decision.
        """
        parents = self.tree.parents
        samples, nodes = np.arange(len(targets)), targets
        all_samples, all_nodes = [], []
        while True:
            below_root = nodes != self.tree.root
            samples, nodes = samples[below_root], nodes[below_root]
            if not len(samples):
                break
            all_samples.append(samples)
            all_nodes.append(nodes)
            nodes = parents[nodes]
        nothing = np.empty(0, dtype=np.int64)
        samples = np.concatenate([nothing, *all_samples])
        towards = np.concatenate([nothing, *all_nodes])
        above = parents[towards]
        family = _Family(above, self._arity[above], self._first[above], self._children)
        values = decisions[np.repeat(samples, family.counts), family.children].astype(np.float64)
        return PathDecisions(samples, towards, family, values)

    def parting(self, a: IntArray, b: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Where the paths to two leaves part: the node, the child towards a, the child towards b.

        Args:
            a: leaves; shape (pairs,).
            b: others, none the same as its partner; shape (pairs,).
        """
        towards_a, towards_b = self._joins.towards(a, b), self._joins.towards(b, a)
        return self.tree.parents[towards_a], towards_a, towards_b
