"""Whether a tree decides better than trees that know nothing of their classes.

Two kinds of control, on the same logits: *random trees*, with as many children a node on average
but a shape of their own, and the tree's own shape with *shuffled leaves*. The second is the
stricter: a tree can be better than random ones by its shape alone (under ``mean``, even trees are),
but better than its shuffled self only because its groups mean something. Judged is the accuracy of
the hard rule, where groups matter: a soft answer under ``logsumexp`` is that of the network,
whatever the tree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import t as student
from torch import Tensor

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.rules import ScoreName, TreeLayout, hard_predict
from nbdt.rules.checks import check_logits, checked_ids

KINDS = ("random trees", "shuffled leaves")


@dataclass(frozen=True)
class Control:
    """How a tree did beside control trees of one kind, by the hard rule, on the same samples.

    Attributes:
        kind: "random trees" or "shuffled leaves".
        samples: how many samples were answered.
        correct: how many of them the tree answered rightly.
        control_correct: how many of them each of the control trees did.
        interval: the 95 % interval of `gain`. With dᵢ the difference on sample i (its mean over
            the R control trees) and aᵣ the accuracy of tree r, it is gain ± t · s,
            s² = var(dᵢ)/n + var(aᵣ)/R, t Student's quantile for R − 1 degrees of freedom: neither
            other samples nor other trees are likely to leave it.

    Example:
        >>> found = Control("random trees", 100, 90, (70, 74), interval=(0.1, 0.26))
        >>> round(found.gain, 2), found.better_than, found.is_better
        (0.18, 2, True)
    """

    kind: str
    samples: int
    correct: int
    control_correct: tuple[int, ...]
    interval: tuple[float, float]

    @property
    def accuracy(self) -> float:
        """The tree's share of right answers."""
        return self.correct / self.samples

    @property
    def control_accuracy(self) -> float:
        """The control trees' share of right answers, on average."""
        return sum(self.control_correct) / (len(self.control_correct) * self.samples)

    @property
    def gain(self) -> float:
        """By how much the tree's accuracy is higher."""
        return self.accuracy - self.control_accuracy

    @property
    def better_than(self) -> int:
        """How many of the control trees have fewer right answers."""
        return sum(other < self.correct for other in self.control_correct)

    @property
    def is_better(self) -> bool:
        """Whether the tree beats the control, beyond chance."""
        return self.interval[0] > 0

    def to_dict(self) -> dict[str, Any]:
        """The comparison as values that JSON can hold."""
        return {
            "kind": self.kind,
            "samples": self.samples,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "trees": len(self.control_correct),
            "control_correct": list(self.control_correct),
            "control_accuracy": self.control_accuracy,
            "gain": self.gain,
            "interval": list(self.interval),
            "better_than": self.better_than,
            "is_better": self.is_better,
        }


class ControlCounter:
    """Counts the right answers of a tree and of its controls, batch by batch.

    Memory: a byte × samples × control trees.

    Args:
        hierarchy: the tree.
        score: what a node is worth.
        trees: how many control trees of each kind, at least 2.
        seed: seeds the control trees; 0 or more.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"])
        >>> counter = ControlCounter(tree, score="mean", trees=5)
        >>> counter.update(torch.tensor([[3.0, 1, 0, 0], [0, 1, 2, 3]]), torch.tensor([0, 3]))
        >>> [(control.kind, control.correct) for control in counter.result()]
        [('random trees', 2), ('shuffled leaves', 2)]
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        score: ScoreName = "logsumexp",
        trees: int = 10,
        seed: int = 0,
    ) -> None:
        for name, value, least in (("trees", trees, 2), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(
                    f"{name} has to be a whole number from {least} on; got {value!r:.80}."
                )
        self.score = score
        self._classes = hierarchy.num_classes
        children = (len(hierarchy) - 1) / len(hierarchy.inner)
        seeds = range(seed, seed + trees)
        random = [shapes.random(self._classes, max(2, round(children)), seed=one) for one in seeds]
        shuffled = [_shuffled(hierarchy, one) for one in seeds]
        self._layouts = [TreeLayout(tree) for tree in (hierarchy, *random, *shuffled)]
        self._right: list[np.ndarray[Any, np.dtype[np.bool_]]] = []

    def update(self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> None:
        """Counts a batch; an empty one changes nothing.

        Args:
            logits: the network's logits, divided by the model's temperature if it has one.
            labels: the true classes, 0 … C−1.

        Raises:
            InputError: the shapes do not fit, a label is no class, or a row of the logits holds
                NaN or +inf or masks every class.
        """
        check_logits(logits, self._classes)
        labels = checked_ids(labels, len(logits), self._classes).to(logits.device)
        answers = [
            hard_predict(logits, layout.to(logits.device), self.score) for layout in self._layouts
        ]
        self._right.append((torch.stack(answers) == labels).cpu().numpy())

    def result(self) -> tuple[Control, Control]:
        """What was counted so far, for random trees and for shuffled leaves.

        Raises:
            InputError: there were less than two samples.
        """
        right = np.concatenate(
            [np.empty((len(self._layouts), 0), dtype=bool), *self._right], axis=1
        )
        samples = right.shape[1]
        if samples < 2:
            raise InputError(
                f"control trees need two samples or more to be compared; got {samples}."
            )
        own, kinds = right[0], np.split(right[1:], len(KINDS))
        found = []
        for kind, others in zip(KINDS, kinds, strict=True):
            differences = own - others.mean(axis=0)
            accuracies = others.mean(axis=1)
            squared = differences.var(ddof=1) / samples + accuracies.var(ddof=1) / len(others)
            spread = float(student.ppf(0.975, len(others) - 1)) * math.sqrt(squared)
            gain = float(differences.mean())
            found.append(
                Control(
                    kind=kind,
                    samples=samples,
                    correct=int(own.sum()),
                    control_correct=tuple(others.sum(axis=1).tolist()),
                    interval=(gain - spread, gain + spread),
                )
            )
        return found[0], found[1]


def _shuffled(tree: Hierarchy, seed: int) -> Hierarchy:
    """The same shape with each class at the place of some other."""
    classes = tree.num_classes
    order = np.random.default_rng(seed).permutation(classes)
    parents = tree.parents.copy()
    parents[:classes] = parents[order]
    return Hierarchy(parents.tolist(), tree.classes)
