"""How often each class is named, and each node decides, rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdt.evaluation.interval import wilson_interval
from nbdt.hierarchy import Hierarchy
from nbdt.rules import Predictions


@dataclass(frozen=True)
class NodeAccuracy:
    """How often one class or node was right.

    A class is judged on the samples that are of it: whether the tree answers the class. An inner
    node is judged on the samples whose class lies under it: whether its decision takes the child
    towards that class, wherever the decisions above it lead.

    Attributes:
        node: the class or inner node.
        name: its name.
        samples: how many samples it was judged on; may be 0.
        correct: on how many of them it was right.
        answered: for a class, how often it was answered, rightly or not; None for an inner node.

    Example:
        >>> share = NodeAccuracy(3, "animal", samples=50, correct=48)
        >>> share.accuracy, [round(bound, 3) for bound in share.interval]
        (0.96, [0.865, 0.989])
    """

    node: int
    name: str
    samples: int
    correct: int
    answered: int | None = None

    @property
    def accuracy(self) -> float | None:
        """The share of samples on which it was right; None without samples."""
        return self.correct / self.samples if self.samples else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the accuracy, by `wilson_interval`; None without samples."""
        return wilson_interval(self.correct, self.samples) if self.samples else None

    @property
    def precision(self) -> float | None:
        """For a class, the share of its answers that are right; None without answers."""
        return self.correct / self.answered if self.answered else None

    def to_dict(self) -> dict[str, Any]:
        """The share as values that JSON can hold."""
        document = {
            "node": self.node,
            "name": self.name,
            "samples": self.samples,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": self.interval and list(self.interval),
        }
        if self.answered is not None:
            document |= {"answered": self.answered, "precision": self.precision}
        return document


class ShareCounter:
    """Counts, batch by batch, how often each class and each inner node is right.

    Args:
        hierarchy: the tree.

    Example:
        >>> import torch
        >>> from nbdt.rules import TreeLayout
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> counted = ShareCounter(tree)
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0]])
        >>> labels = torch.tensor([0, 0])
        >>> counted.update(Predictions(logits, TreeLayout(tree), score="mean", labels=labels))
        >>> [(share.name, share.correct, share.samples) for share in counted.nodes()]
        [('animal', 2, 2), ('thing', 1, 2)]
    """

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._samples = np.zeros(len(hierarchy), dtype=np.int64)
        self._correct = np.zeros(len(hierarchy), dtype=np.int64)
        self._answered = np.zeros(hierarchy.num_classes, dtype=np.int64)

    def update(self, decided: Predictions) -> None:
        """Counts a batch."""
        size, num_classes = len(self.hierarchy), self.hierarchy.num_classes
        ways, labels, answers = decided.true_path, decided.labels, decided.answers
        self._samples += np.bincount(np.append(ways.nodes, labels), minlength=size)
        right = np.append(ways.nodes[ways.right], labels[labels == answers])
        self._correct += np.bincount(right, minlength=size)
        self._answered += np.bincount(answers, minlength=num_classes)

    def classes(self) -> tuple[NodeAccuracy, ...]:
        """What was counted of each class, in the classifier's order."""
        return tuple(
            self._share(leaf, int(self._answered[leaf]))
            for leaf in range(self.hierarchy.num_classes)
        )

    def nodes(self) -> tuple[NodeAccuracy, ...]:
        """What was counted of each inner node, the root last."""
        return tuple(self._share(node, None) for node in self.hierarchy.inner)

    def _share(self, node: int, answered: int | None) -> NodeAccuracy:
        name = self.hierarchy.name(node)
        counts = int(self._samples[node]), int(self._correct[node])
        return NodeAccuracy(node, name, *counts, answered)
