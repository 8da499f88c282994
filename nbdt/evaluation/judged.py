"""What one tree makes of samples whose logits are at hand: `Judged`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nbdt.evaluation.shares import NodeAccuracy
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import IntArray
from nbdt.rules import RULE_SCORES, Predictions, ScoreName, TreeLayout
from nbdt.run import BLOCK

BoolArray = npt.NDArray[np.bool_]


class Judged:
    """Which samples one tree answers rightly, and at which nodes it decides rightly.

    Worked out when it is first asked for. Memory is about 17 bytes × samples × depth of the tree.

    Args:
        tree: the tree.
        score: what a node is worth, at single nodes.
        logits: those of all samples; shape (samples, C).
        labels: their true classes; shape (samples,).

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> logits = torch.tensor([[2.0, 2.0, 2.2], [0.0, 1.0, 0.5]])
        >>> judged = Judged(tree, "logsumexp", logits, torch.tensor([2, 1]))
        >>> judged.right[RULE_SCORES.index(("hard", "logsumexp"))], judged.share(4).correct
        (array([False,  True]), 1)
    """

    def __init__(self, tree: Hierarchy, score: ScoreName, logits: Tensor, labels: Tensor) -> None:
        self.tree = tree
        self._layout = TreeLayout(tree)
        self._score = score
        self._logits = logits
        self._labels = labels

    @cached_property
    def right(self) -> tuple[BoolArray, ...]:
        """For each of `RULE_SCORES`, which samples are answered rightly."""
        blocks = [
            [predictions.answers_by(*way).numpy() == predictions.labels for way in RULE_SCORES]
            for predictions in self._blocks
        ]
        return tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))

    @cached_property
    def _decisions(self) -> tuple[IntArray, IntArray, BoolArray]:
        """All decisions on the paths to the true classes: node, sample, and whether right."""
        nodes, samples, right = [], [], []
        for predictions in self._blocks:
            path = predictions.true_path
            nodes.append(path.nodes)
            samples.append(predictions.indices[path.samples])
            right.append(path.right)
        by_node, by_sample = np.concatenate(nodes), np.concatenate(samples)
        order = np.lexsort((by_sample, by_node))
        return by_node[order], by_sample[order], np.concatenate(right)[order]

    def at(self, node: int) -> tuple[IntArray, BoolArray]:
        """The samples that a node is judged on, ascending, and on which it is right."""
        nodes, samples, right = self._decisions
        run = slice(*np.searchsorted(nodes, [node, node + 1]))
        return samples[run], right[run]

    def share(self, node: int) -> NodeAccuracy:
        """How often a node is right."""
        samples, right = self.at(node)
        return NodeAccuracy(node, self.tree.name(node), len(samples), int(right.sum()))

    @property
    def _blocks(self) -> Iterator[Predictions]:
        for places in torch.split(torch.arange(len(self._labels)), BLOCK):
            yield Predictions(
                self._logits[places],
                self._layout,
                score=self._score,
                labels=self._labels[places],
                indices=places,
            )
