"""What every measure is judged by: walks down the tree, sample by sample, in plain Python."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from nbdt.evaluation import Measure
from nbdt.hierarchy import Hierarchy
from nbdt.rules import Predictions, TreeLayout
from tests.strategies import hierarchies


def samples(tree: Hierarchy, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that are right often but not always, in float64, and the labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(tree.num_classes, (count,), generator=generator)
    logits = torch.randn(count, tree.num_classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(count), labels] += 1.5
    return logits, labels


class Predictor:
    """Makes `Predictions` of one tree's batches; samples are counted on from batch to batch."""

    def __init__(self, tree: Hierarchy, **how) -> None:  # type: ignore[no-untyped-def]
        self.layout, self.how, self.next = TreeLayout(tree), how, 0

    def __call__(self, logits: Tensor, labels: Tensor) -> Predictions:
        indices = torch.arange(self.next, self.next + len(logits))
        self.next += len(logits)
        return Predictions(logits, self.layout, labels=labels, indices=indices, **self.how)


def cases(max_classes: int = 12) -> st.SearchStrategy[tuple[Hierarchy, int, str, str]]:
    """A tree, a seed for samples, a score and a rule."""
    return st.tuples(
        hierarchies(max_classes=max_classes),
        st.integers(0, 2**31),
        st.sampled_from(["logsumexp", "mean"]),
        st.sampled_from(["soft", "hard"]),
    )


def batches(
    tree: Hierarchy,
    logits: Tensor,
    labels: Tensor,
    score: Any = "logsumexp",
    rule: Any = "soft",
    size: int = 7,
) -> Iterator[Predictions]:
    """The predictions for all samples, a few at a time."""
    layout = TreeLayout(tree)
    for rows in torch.arange(len(logits)).split(size):
        yield Predictions(
            logits[rows], layout, score=score, rule=rule, labels=labels[rows], indices=rows
        )


def counted(measure: Measure[Any], *samples: Any, **options: Any) -> Any:
    """What a measure finds on these samples; the arguments are those of `batches`."""
    for batch in batches(measure.hierarchy, *samples, **options):
        measure.update(batch)
    return measure.compute()


@dataclass
class Step:
    """One decision on a way: the node, the child toward the target, all probabilities."""

    node: int
    towards: int
    probabilities: dict[int, float]

    @property
    def taken(self) -> int:
        return min(self.probabilities, key=lambda child: (-self.probabilities[child], child))

    @property
    def right(self) -> bool:
        return self.taken == self.towards

    @property
    def margin(self) -> float:
        others = [p for child, p in self.probabilities.items() if child != self.towards]
        return math.log(self.probabilities[self.towards]) - math.log(max(others))

    @property
    def entropy(self) -> float:
        return -sum(p * math.log(p) for p in self.probabilities.values() if p)


class Walk:
    """One sample: its decisions everywhere, its answer, and its way to any node."""

    def __init__(self, logits: np.ndarray, tree: Hierarchy, score: str, rule: str) -> None:
        self.tree = tree
        worth = {"mean": np.mean, "logsumexp": lambda z: np.log(np.sum(np.exp(z)))}[score]
        values = [float(worth(logits[list(tree.leaves(v))])) for v in range(len(tree))]
        self.decisions: dict[int, dict[int, float]] = {}
        for node in tree.inner:
            odds = {child: math.exp(values[child]) for child in tree.children(node)}
            self.decisions[node] = {c: odd / sum(odds.values()) for c, odd in odds.items()}
        self.probabilities = [
            math.prod(step.probabilities[step.towards] for step in self.way(leaf))
            for leaf in range(tree.num_classes)
        ]
        if rule == "soft":
            self.answer = int(np.argmax(self.probabilities))
        else:
            node = tree.root
            while not tree.is_leaf(node):
                node = Step(node, -1, self.decisions[node]).taken
            self.answer = node

    def way(self, target: int) -> list[Step]:
        path = self.tree.path(target)
        return [Step(node, child, self.decisions[node]) for node, child in itertools.pairwise(path)]


def walks(logits: Tensor, tree: Hierarchy, score: str, rule: str) -> list[Walk]:
    return [Walk(row, tree, score, rule) for row in logits.double().numpy()]
