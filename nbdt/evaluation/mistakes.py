"""How bad mistakes are, and at which node of the tree they are made.

The paths to two classes diverge at their lowest common ancestor (LCA). A mistake is judged by its
*height*, the number of edges from the LCA down to its deepest leaf (Bertinetto et al., "Making
Better Mistakes", CVPR 2020, who call it severity), and by the *distance*, the number of edges
between the two classes. Both depend on the tree alone: a deep tree has worse mistakes than a flat
one.

Hierarchical precision and recall compare the true class and all nodes above it but the root, T,
with the answer and all nodes above it but the root, A:
hP = Σ|A ∩ T| / Σ|A|, hR = Σ|A ∩ T| / Σ|T|, hF = 2 · hP · hR / (hP + hR), with sums over all samples
(Kosmopoulos et al., "Evaluation measures for hierarchical classification", Data Mining and
Knowledge Discovery 29, 2015, section 4.2: the set-based measures with all ancestors).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nbdt.errors import InputError
from nbdt.evaluation.measure import Measure, Result, Section, TextOptions, measure
from nbdt.evaluation.tables import Record, aligned, percent, short
from nbdt.rules import Predictions
from nbdt.rules.paths import divergence

_SUCH_AS = 2


@dataclass(frozen=True)
class Confusion(Record):
    """One way to go wrong: at `node`, where the paths diverge, the child taken, not the true one.

    `count` mistakes are made this way; `examples` are the indices of the first of them.
    """

    node: int
    node_name: str
    true_child: int
    true_child_name: str
    taken_child: int
    taken_child_name: str
    count: int
    examples: tuple[int, ...]


@dataclass(frozen=True)
class CostlyNode(Record):
    """A node at which mistakes are made: the paths to the true class and to the answer diverge.

    `share` is their share of all mistakes; `examples` are the indices of the first of them.
    """

    node: int
    name: str
    mistakes: int
    share: float
    examples: tuple[int, ...]


@dataclass(frozen=True)
class Mistakes(Result):
    """How bad the mistakes on some data are, and where they are made.

    `by_height` counts mistakes with an LCA of height 0 (none), 1, 2, … up to the root's;
    `confusions` are the ways to go wrong, most frequent first, and `nodes` the costliest first.
    """

    derived = (*("mean_height", "mean_height_of_all", "mean_distance_of_all"), "hierarchical_f1")
    samples: int
    count: int
    by_height: tuple[int, ...]
    mean_distance: float | None
    hierarchical_precision: float
    hierarchical_recall: float
    confusions: tuple[Confusion, ...]
    nodes: tuple[CostlyNode, ...]

    @property
    def mean_height(self) -> float | None:
        """The mean height of mistakes, their severity; None without mistakes."""
        return self._total_height / self.count if self.count else None

    @property
    def mean_height_of_all(self) -> float:
        """The mean height over all samples, 0 for correct answers."""
        return self._total_height / self.samples

    @property
    def mean_distance_of_all(self) -> float:
        """The mean distance over all samples, 0 for correct answers."""
        return (self.mean_distance or 0.0) * self.count / self.samples

    @property
    def hierarchical_f1(self) -> float:
        """The hierarchical F1, the harmonic mean of precision and recall."""
        precision, recall = self.hierarchical_precision, self.hierarchical_recall
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def _total_height(self) -> int:
        return sum(height * count for height, count in enumerate(self.by_height))

    def sections(self, options: TextOptions) -> Iterable[Section]:
        """The most frequent ways to go wrong."""
        cells = [
            (
                short(one.node_name),
                short(one.true_child_name),
                short(one.taken_child_name),
                str(one.count),
                percent(one.count / self.count),
                ", ".join(map(options.sample_name, one.examples[:_SUCH_AS])),
            )
            for one in self.confusions[: options.most]
        ]
        if cells:
            title = options.title("Where most mistakes are made", len(self.confusions))
            headings = ("at node", "it is", "taken for", "count", "of mistakes", "such as")
            yield Section(20, [title, *aligned(headings, cells, words=3)])

    def summary(self) -> Iterable[str]:
        """How bad mistakes are, and the hierarchical measures."""
        if self.count:
            yield (
                f"Mistakes     {self.count:,} of {self.samples:,}; mean height of the common node "
                f"{self.mean_height:.2f} of {len(self.by_height) - 1}, mean distance "
                f"{self.mean_distance:.2f}"
            )
        yield (
            f"Hierarchy    precision {percent(self.hierarchical_precision)}, recall "
            f"{percent(self.hierarchical_recall)}, F1 {percent(self.hierarchical_f1)}"
        )

    def examples(self) -> Iterable[int]:
        """The examples of confusions and of nodes."""
        for confusion in self.confusions:
            yield from confusion.examples
        for node in self.nodes:
            yield from node.examples


@measure("mistakes", order=2)
class MistakeCounter(Measure[Mistakes]):
    """Counts mistakes by height, distance and place.

    Memory grows with the number of ways to go wrong that occur, not with that of samples.
    """

    def start(self) -> None:
        """Sets all counts to zero."""
        self._samples = 0
        # Sums over samples: the distance, and the sizes of A ∩ T, A and T.
        self._sums = np.zeros(4, dtype=np.int64)
        self._by_height = np.zeros(int(self.hierarchy.heights.max()) + 1, dtype=np.int64)
        # By the child with the true class and the child taken, whose parent is the node.
        self._counts: dict[tuple[int, int], int] = {}
        self._examples: dict[tuple[int, int], list[int]] = {}

    def update(self, batch: Predictions) -> None:
        """Counts a batch."""
        depths, heights = self.hierarchy.depths, self.hierarchy.heights
        wrong = batch.labels != batch.answers
        labels, answers = batch.labels[wrong], batch.answers[wrong]
        nodes, true_children, taken_children = divergence(batch.layout, labels, answers)
        self._samples += len(batch)
        self._sums += [
            (depths[labels] + depths[answers] - 2 * depths[nodes]).sum(),
            depths[batch.labels[~wrong]].sum() + depths[nodes].sum(),
            depths[batch.answers].sum(),
            depths[batch.labels].sum(),
        ]
        self._by_height += np.bincount(heights[nodes], minlength=len(self._by_height))
        for true, taken, index in zip(
            true_children.tolist(), taken_children.tolist(), batch.indices[wrong].tolist(),
            strict=True,
        ):  # fmt: skip
            self._add((true, taken), 1, [index])

    def merge(self, other: MistakeCounter) -> None:
        """Adds the counts of another one; examples are those with the lowest indices."""
        self._samples += other._samples
        self._sums += other._sums
        self._by_height += other._by_height
        for pair, count in other._counts.items():
            both = sorted(self._examples.pop(pair, []) + other._examples[pair])
            self._add(pair, count, both)

    def _add(self, pair: tuple[int, int], count: int, indices: list[int]) -> None:
        self._counts[pair] = self._counts.get(pair, 0) + count
        kept = self._examples.setdefault(pair, [])
        kept += indices[: self.examples - len(kept)]

    def compute(self) -> Mistakes:
        """The mistakes so far."""
        if not self._samples:
            raise InputError("counting mistakes needs at least one sample.")
        count = sum(self._counts.values())
        distance, shared, above_answer, above_true = self._sums.tolist()
        return Mistakes(
            samples=self._samples,
            count=count,
            by_height=tuple(self._by_height.tolist()),
            mean_distance=distance / count if count else None,
            hierarchical_precision=shared / above_answer,
            hierarchical_recall=shared / above_true,
            confusions=self._confusions(),
            nodes=self._nodes(count),
        )

    def _confusions(self) -> tuple[Confusion, ...]:
        tree = self.hierarchy
        confusions = []
        for (true, taken), count in sorted(
            self._counts.items(), key=lambda entry: (-entry[1], entry[0])
        ):
            node, examples = tree.parent(true), tuple(self._examples[true, taken])
            names = tree.name(node), tree.name(true), tree.name(taken)
            confusions.append(
                Confusion(node, names[0], true, names[1], taken, names[2], count, examples)
            )
        return tuple(confusions)

    def _nodes(self, total: int) -> tuple[CostlyNode, ...]:
        tree = self.hierarchy
        counts: dict[int, int] = {}
        examples: dict[int, list[int]] = {}
        for (true, taken), count in self._counts.items():
            node = tree.parent(true)
            counts[node] = counts.get(node, 0) + count
            examples.setdefault(node, []).extend(self._examples[true, taken])
        return tuple(
            CostlyNode(
                node,
                tree.name(node),
                count,
                count / total,
                tuple(sorted(examples[node])[: self.examples]),
            )
            for node, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        )
