"""How bad mistakes are, and at which node of the tree they are made.

Two classes part at their lowest common ancestor (LCA). A mistake is judged by its *height*, the
number of edges from the LCA down to its deepest leaf (Bertinetto et al., "Making Better Mistakes",
CVPR 2020, who call it severity), and by the *distance*, the number of edges between the two
classes. Both depend on the tree alone: a deep tree has worse mistakes than a flat one.

Hierarchical precision and recall compare the true class and all nodes above it, T, with the answer
and all nodes above it, A; the root, which is above all, is left out:
hP = Σ|A ∩ T| / Σ|A|, hR = Σ|A ∩ T| / Σ|T|, hF = 2 · hP · hR / (hP + hR), the sums being over all
samples (Kosmopoulos et al., "Evaluation measures for hierarchical classification", Data Mining
and Knowledge Discovery 29, 2015, section 4.2: the set-based measures with all ancestors).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import Predictions
from nbdt.rules.paths import divergence


@dataclass(frozen=True)
class Confusion:
    """One way to go wrong: at a node, the child taken instead of the true one.

    Attributes:
        node: where the paths to the true class and to the answer part.
        node_name: its name.
        true_child: the child with the true class under it.
        true_child_name: its name.
        taken_child: the child with the answer under it.
        taken_child_name: its name.
        count: how many mistakes were made this way.
        examples: the first of them: indices into the data.

    Example:
        >>> Confusion(4, "thing", 3, "animal", 2, "car", count=1, examples=(17,)).taken_child_name
        'car'
    """

    node: int
    node_name: str
    true_child: int
    true_child_name: str
    taken_child: int
    taken_child_name: str
    count: int
    examples: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The confusion as values that JSON can hold."""
        return asdict(self) | {"examples": list(self.examples)}


@dataclass(frozen=True)
class CostlyNode:
    """A node at which mistakes are made.

    Attributes:
        node: the node.
        name: its name.
        mistakes: in how many mistakes the paths to the true class and to the answer part here.
        share: the share of all mistakes.
        examples: the first of them: indices into the data.

    Example:
        >>> CostlyNode(4, "thing", mistakes=8, share=0.25, examples=(3, 17)).to_dict()["examples"]
        [3, 17]
    """

    node: int
    name: str
    mistakes: int
    share: float
    examples: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The node as values that JSON can hold."""
        return asdict(self) | {"examples": list(self.examples)}


@dataclass(frozen=True)
class Mistakes:
    """The mistakes on some data, how bad they are, and where they are made.

    Attributes:
        samples: how many samples were answered.
        count: how many of them wrongly.
        by_height: how many mistakes have an LCA of height 0 (none), 1, 2, …, that of the root.
        mean_distance: the mean distance of mistakes; None without mistakes.
        precision: the hierarchical precision hP.
        recall: the hierarchical recall hR.
        confusions: the ways to go wrong that occurred, most frequent first.
        nodes: the nodes where mistakes are made, the costliest first.

    Example:
        >>> found = Mistakes(10, 2, (0, 1, 1), 2.5, 0.9, 0.8, confusions=(), nodes=())
        >>> found.mean_height, found.mean_height_of_all, round(found.f1, 3)
        (1.5, 0.3, 0.847)
    """

    samples: int
    count: int
    by_height: tuple[int, ...]
    mean_distance: float | None
    precision: float
    recall: float
    confusions: tuple[Confusion, ...]
    nodes: tuple[CostlyNode, ...]

    @property
    def mean_height(self) -> float | None:
        """The mean height of mistakes, their severity; None without mistakes."""
        return self._total_height / self.count if self.count else None

    @property
    def mean_height_of_all(self) -> float:
        """The mean height over all samples, right answers counting 0."""
        return self._total_height / self.samples

    @property
    def mean_distance_of_all(self) -> float:
        """The mean distance over all samples, right answers counting 0."""
        return (self.mean_distance or 0.0) * self.count / self.samples

    @property
    def f1(self) -> float:
        """The hierarchical F1, the harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @property
    def _total_height(self) -> int:
        return sum(height * count for height, count in enumerate(self.by_height))

    def to_dict(self) -> dict[str, Any]:
        """The mistakes as values that JSON can hold."""
        return {
            "samples": self.samples,
            "count": self.count,
            "by_height": list(self.by_height),
            "mean_height": self.mean_height,
            "mean_height_of_all": self.mean_height_of_all,
            "mean_distance": self.mean_distance,
            "mean_distance_of_all": self.mean_distance_of_all,
            "hierarchical_precision": self.precision,
            "hierarchical_recall": self.recall,
            "hierarchical_f1": self.f1,
            "confusions": [confusion.to_dict() for confusion in self.confusions],
            "nodes": [node.to_dict() for node in self.nodes],
        }


class MistakeCounter:
    """Counts mistakes batch by batch.

    Memory grows with the number of ways to go wrong that occur, not with that of samples.

    Args:
        hierarchy: the tree.
        examples: how many examples to keep of each confusion and node.

    Example:
        >>> import torch
        >>> from nbdt.rules import TreeLayout
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> counted = MistakeCounter(tree)
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0]])
        >>> labels = torch.tensor([0, 0])
        >>> counted.update(Predictions(logits, TreeLayout(tree), score="mean", labels=labels))
        >>> mistakes = counted.result()
        >>> mistakes.count, mistakes.mean_height, mistakes.mean_distance
        (1, 2.0, 3.0)
        >>> confusion = mistakes.confusions[0]
        >>> confusion.node_name, confusion.true_child_name, confusion.taken_child_name
        ('thing', 'animal', 'car')
    """

    def __init__(self, hierarchy: Hierarchy, *, examples: int = 5) -> None:
        self.hierarchy = hierarchy
        self.examples = examples
        self._samples = self._distance = self._shared = self._above_true = self._above_answer = 0
        self._by_height = np.zeros(0, dtype=np.int64)
        # By the child with the true class and the child taken, whose parent is the node.
        self._counts: dict[tuple[int, int], int] = {}
        self._examples: dict[tuple[int, int], list[int]] = {}

    def update(self, decided: Predictions) -> None:
        """Counts a batch."""
        depths = self.hierarchy.depths
        wrong = decided.labels != decided.answers
        labels, answers = decided.labels[wrong], decided.answers[wrong]
        nodes, true_children, taken_children = divergence(decided.layout, labels, answers)
        right_depths = int(depths[decided.labels[~wrong]].sum())

        self._samples += len(decided)
        self._shared += right_depths + int(depths[nodes].sum())
        self._above_true += int(depths[decided.labels].sum())
        self._above_answer += int(depths[decided.answers].sum())
        self._distance += int((depths[labels] + depths[answers] - 2 * depths[nodes]).sum())
        heights = decided.hierarchy.heights
        by_height = np.bincount(heights[nodes], minlength=int(heights[-1]) + 1)
        self._by_height = by_height + (self._by_height if len(self._by_height) else 0)
        for true, taken, index in zip(
            true_children.tolist(), taken_children.tolist(), decided.indices[wrong].tolist(),
            strict=True,
        ):  # fmt: skip
            self._counts[true, taken] = self._counts.get((true, taken), 0) + 1
            kept = self._examples.setdefault((true, taken), [])
            if len(kept) < self.examples:
                kept.append(index)

    def result(self) -> Mistakes:
        """What was counted so far.

        Raises:
            InputError: there was no sample yet.
        """
        if not self._samples:
            raise InputError("there are no mistakes without a sample; give at least one.")
        count = sum(self._counts.values())
        return Mistakes(
            samples=self._samples,
            count=count,
            by_height=tuple(self._by_height.tolist()),
            mean_distance=self._distance / count if count else None,
            precision=self._shared / self._above_answer,
            recall=self._shared / self._above_true,
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
