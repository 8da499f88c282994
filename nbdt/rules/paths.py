"""The decisions on the path to one node per sample, for many samples at once.

Only these decisions are read, not the whole tree's: at 1,000 classes about a dozen of a thousand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules.layout import TreeLayout


def climb(tree: Hierarchy, targets: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Climbs the paths to these nodes together, one step at a time, from the target upward.

    Yields the positions in `targets` whose path has this step, and the node there; the root is
    never yielded.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> [(places.tolist(), nodes.tolist()) for places, nodes in climb(tree, np.array([0, 2]))]
        [([0, 1], [0, 2]), ([0], [3])]
    """
    places, nodes, lengths = np.arange(len(targets)), targets, tree.depths[targets]
    ends = set(lengths.tolist())
    for step in range(max(ends, default=0)):
        if step in ends:
            kept = lengths > step
            places, nodes, lengths = places[kept], nodes[kept], lengths[kept]
        yield places, nodes
        nodes = tree.parents[nodes]


MAX_ENTRIES = 2**27
"""The most entries of `path_indicator`; they take 16 bytes each."""


def path_indicator(tree: Hierarchy, leaves: IntArray) -> csr_matrix:
    """A row for each of these classes, of shape (leaves, nodes): 1 where its path has the node."""
    several, leaves = np.unique(leaves, return_inverse=True)
    paths = [np.array(sorted(tree.path(leaf))) for leaf in several.tolist()]
    paths.insert(0, np.empty(0, dtype=np.int64))
    leaves = leaves + 1  # the empty path keeps a batch without samples valid
    lengths = np.array([len(path) for path in paths])
    starts = np.concatenate([[0], np.cumsum(lengths[leaves])])
    if starts[-1] > MAX_ENTRIES:
        raise InputError(
            f"the paths of {len(leaves):,} answers have {starts[-1]:,} nodes, more than the "
            f"{MAX_ENTRIES:,} that one matrix may hold; ask for fewer samples or a part of the map."
        )
    first = np.cumsum(lengths) - lengths
    places = np.arange(starts[-1]) + np.repeat(first[leaves] - starts[:-1], lengths[leaves])
    indices = np.concatenate(paths)[places]
    ones = np.ones(len(indices), dtype=np.int64)
    return csr_matrix((ones, indices, starts), shape=(len(leaves), len(tree)))


class PathDecisions:
    """The decisions on the path from the root to one node, the target, of each sample.

    `decisions` are log p(node | its parent), shape (batch, nodes); `targets` is one node per
    sample. Arrays have one entry per decision; `values` and `children` have a run of entries per
    decision. The order is `climb`'s; see `root_first`.

    Attributes:
        samples: the row of the sample.
        nodes: the node that decides.
        towards: its child on the path to the target.
        starts: where the runs begin.
        counts: how long the runs are.
        children: the children of these nodes, lowest id first.
        values: log p of these children.
        own: log p of the child on the path.
        margins: `own` less log p of its likeliest sibling, in nats: negative if another child is
            likelier.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> decisions = np.log([[0.6, 0.4, 0.8, 0.2, 1.0]])  # p(node | its parent)
        >>> path = PathDecisions(decisions, np.array([0]), TreeLayout(tree))  # to "cat"
        >>> [tree.name(node) for node in path.nodes], path.right.tolist()
        (['animal', 'thing'], [True, False])
    """

    def __init__(
        self, decisions: npt.NDArray[np.floating], targets: IntArray, layout: TreeLayout
    ) -> None:
        nothing = np.empty(0, dtype=np.int64)
        steps = list(climb(layout.hierarchy, targets))
        self.samples: IntArray = np.concatenate([nothing, *(places for places, _ in steps)])
        self.towards: IntArray = np.concatenate([nothing, *(nodes for _, nodes in steps)])
        self.nodes: IntArray = layout.hierarchy.parents[self.towards]
        families = layout.families
        self.counts: IntArray = families.counts[self.nodes]
        self.starts: IntArray = np.cumsum(self.counts) - self.counts
        first = families.first[self.nodes]
        places = np.arange(int(self.counts.sum())) + self.spread(first - self.starts)
        self.children: IntArray = families.children[places]
        self.values: FloatArray = decisions[self.spread(self.samples), self.children].astype(
            np.float64
        )
        is_own = self.children == self.spread(self.towards)
        self.own: FloatArray = self.values[is_own]
        others = np.where(is_own, -np.inf, self.values)
        self.margins: FloatArray = self.own - self.reduced(np.maximum, others)

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One value per decision, repeated for each of its children."""
        return np.repeat(values, self.counts)

    def reduced(self, operation: np.ufunc, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One value per decision from its children's values: their sum, maximum, …."""
        found: npt.NDArray[Any] = operation.reduceat(values, self.starts)
        return found

    @cached_property
    def highest(self) -> FloatArray:
        """Log p of the likeliest child."""
        return self.reduced(np.maximum, self.values)

    @cached_property
    def taken(self) -> IntArray:
        """The likeliest child; ties go to the lowest id."""
        likeliest = self.values == self.spread(self.highest)
        nobody = self.children.max(initial=0) + 1
        return self.reduced(np.minimum, np.where(likeliest, self.children, nobody))

    @cached_property
    def rivals(self) -> IntArray:
        """The likeliest sibling of the child toward the target; ties go to the lowest id."""
        others = np.where(self.children == self.spread(self.towards), -np.inf, self.values)
        likeliest = others == self.spread(self.reduced(np.maximum, others))
        likeliest &= self.children != self.spread(self.towards)
        nobody = self.children.max(initial=0) + 1
        return self.reduced(np.minimum, np.where(likeliest, self.children, nobody))

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the likeliest child is the one towards the target."""
        return np.equal(self.taken, self.towards)

    @cached_property
    def confidences(self) -> FloatArray:
        """The probability of the likeliest child."""
        confidences: FloatArray = np.exp(self.highest)
        return confidences

    @cached_property
    def entropies(self) -> FloatArray:
        """The entropy of each decision, −Σ p log p, in nats."""
        shares = np.exp(self.values)
        return self.reduced(np.add, -shares * np.where(shares > 0, self.values, 0))

    @cached_property
    def root_first(self) -> IntArray:
        """The order that groups each sample's decisions, from the root down."""
        # Steps go up, so backwards they go down.
        backwards = np.argsort(self.samples[::-1], kind="stable")
        order: IntArray = len(self.samples) - 1 - backwards
        return order

    def totals(self, values: FloatArray, batch: int) -> FloatArray:
        """The sum over each sample's path of one value per decision; shape (batch,)."""
        return np.bincount(self.samples, weights=values, minlength=batch).astype(np.float64)

    def least_margins(self, batch: int) -> FloatArray:
        """The smallest margin on each sample's path, +∞ if it has no decision; (batch,)."""
        least = np.full(batch, np.inf)
        np.minimum.at(least, self.samples, self.margins)
        return least


def divergence(layout: TreeLayout, a: IntArray, b: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Where the paths to two leaves diverge: the node, the child toward a, the child toward b.

    `a` and `b` have shape (pairs,); no leaf is paired with itself.
    """
    table = layout.lca_table
    towards_a, towards_b = table.towards(a, b), table.towards(b, a)
    return layout.hierarchy.parents[towards_a], towards_a, towards_b
