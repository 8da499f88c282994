"""Whether a tree decides better than control trees that know nothing about its classes.

Two kinds of control answer the same logits: *random trees*, with about as many children a node but
another shape, and the tree's own shape with *shuffled leaves*. The second is stricter: a tree can
beat random ones by its shape alone (under ``mean``, balanced trees do), but it beats its shuffled
self only if its groups mean something. Compared is the accuracy of the hard rule, where groups
matter: a soft answer under ``logsumexp`` is the network's own, whatever the tree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import stdtrit

from nbdt.errors import InputError
from nbdt.evaluation.measure import Measure
from nbdt.evaluation.tables import Record
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.hierarchy.validation import is_integer
from nbdt.rules import Predictions, TreeLayout, hard_predict

KINDS = ("random trees", "shuffled leaves")


@dataclass(frozen=True)
class Control(Record):
    """A tree compared with control trees of one kind, by the hard rule, on the same samples.

    `control_correct` counts the correct answers of each control tree. `interval` is the 95 %
    interval of `gain`: with dᵢ the difference on sample i (its mean over the R control trees) and
    aᵣ the accuracy of tree r, it is gain ± t · s, s² = var(dᵢ)/n + var(aᵣ)/R, with Student's t for
    R − 1 degrees of freedom, so it covers other samples as well as other control trees.
    """

    derived = ("accuracy", "control_accuracy", "trees", "gain", "better_than", "is_better")
    kind: str
    samples: int
    correct: int
    control_correct: tuple[int, ...]
    interval: tuple[float, float]

    @property
    def accuracy(self) -> float:
        """The tree's accuracy."""
        return self.correct / self.samples

    @property
    def control_accuracy(self) -> float:
        """The mean accuracy of the control trees."""
        return sum(self.control_correct) / (self.trees * self.samples)

    @property
    def trees(self) -> int:
        """How many control trees there are."""
        return len(self.control_correct)

    @property
    def gain(self) -> float:
        """The tree's accuracy minus that of the control trees."""
        return self.accuracy - self.control_accuracy

    @property
    def better_than(self) -> int:
        """How many control trees have fewer correct answers."""
        return sum(other < self.correct for other in self.control_correct)

    @property
    def is_better(self) -> bool:
        """Whether the tree beats the control beyond chance."""
        return self.interval[0] > 0


class ControlCounter(Measure[tuple[Control, Control]]):
    """Counts the correct answers of a tree and of its controls, by the score of the predictions.

    Memory: one byte × samples × control trees. There are `trees` of each kind, at least 2.
    """

    def __init__(self, hierarchy: Hierarchy, *, trees: int = 10, seed: int = 0) -> None:
        for name, value, least in (("trees", trees, 2), ("seed", seed, 0)):
            if not is_integer(value) or value < least:
                raise InputError(f"{name} must be an integer ≥ {least}; got {value!r:.80}.")
        classes = hierarchy.num_classes
        children = (len(hierarchy) - 1) / len(hierarchy.inner)
        seeds = range(seed, seed + trees)
        random = [shapes.random(classes, max(2, round(children)), seed=one) for one in seeds]
        shuffled = [_shuffled(hierarchy, one) for one in seeds]
        self._layouts = [TreeLayout(tree) for tree in (hierarchy, *random, *shuffled)]
        super().__init__(hierarchy)

    def start(self) -> None:
        """Forgets all samples."""
        # For each tree, which samples are answered correctly.
        self._right = [np.empty((len(self._layouts), 0), dtype=bool)]

    def update(self, batch: Predictions) -> None:
        """Counts a batch; temperatures of single nodes change no hard answer."""
        logits = batch.temperature.divide(batch.logits)
        answers = [
            hard_predict(logits, layout.to(logits.device), batch.score.name)
            for layout in self._layouts
        ]
        self._right.append(torch.stack(answers).cpu().numpy() == batch.labels)

    def merge(self, other: ControlCounter) -> None:
        """Adds the samples of another one."""
        self._right += other._right

    def compute(self) -> tuple[Control, Control]:
        """The comparison with random trees and with shuffled leaves, on at least two samples."""
        right = np.concatenate(self._right, axis=1)
        samples = right.shape[1]
        if samples < 2:
            raise InputError(f"control trees are compared on at least two samples; got {samples}.")
        own, kinds = right[0], np.split(right[1:], len(KINDS))
        found = []
        for kind, others in zip(KINDS, kinds, strict=True):
            differences = own - others.mean(axis=0)
            accuracies = others.mean(axis=1)
            squared = differences.var(ddof=1) / samples + accuracies.var(ddof=1) / len(others)
            spread = float(stdtrit(len(others) - 1, 0.975)) * math.sqrt(squared)
            gain = float(differences.mean())
            correct = tuple(others.sum(axis=1).tolist())
            found.append(
                Control(kind, samples, int(own.sum()), correct, (gain - spread, gain + spread))
            )
        return found[0], found[1]


def _shuffled(tree: Hierarchy, seed: int) -> Hierarchy:
    """The same shape with the classes in random places."""
    classes = tree.num_classes
    order = np.random.default_rng(seed).permutation(classes)
    parents = tree.parents.copy()
    parents[:classes] = parents[order]
    return Hierarchy(parents.tolist(), tree.classes)
