"""Stopping when unsure as DESIGN.md defines it, sample by sample, node by node, in float64."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from nbdt.hierarchy import Hierarchy
from tests.strategies import hierarchies


def probability(tree: Hierarchy, row: Sequence[float], node: int) -> float:
    return math.fsum(math.exp(row[leaf]) for leaf in tree.leaves(node))


def likeliest(row: Sequence[float]) -> int:
    return list(row).index(max(row))


def score(tree: Hierarchy, row: Sequence[float], label: int) -> float:
    leaf = likeliest(row)
    if leaf == label:
        return -math.inf
    parts = tree.lca(leaf, label)
    path = tree.path(leaf)
    return probability(tree, row, path[path.index(parts) + 1])


def threshold(scores: Sequence[float], guarantee: str) -> float:
    rank = math.ceil((len(scores) + 1) * Fraction(guarantee))
    return sorted(scores)[rank - 1]


def answer(tree: Hierarchy, row: Sequence[float], t: float) -> int:
    path = tree.path(likeliest(row))
    return [v for v in path if v == tree.root or probability(tree, row, v) > t][-1]


def holds(tree: Hierarchy, node: int, label: int) -> bool:
    return label in tree.leaves(node)


def information(tree: Hierarchy, node: int) -> float:
    return 1 - math.log(len(tree.leaves(node))) / math.log(tree.num_classes)


def log_probs(batch: int, classes: int, seed: int, scale: float = 3.0) -> Tensor:
    logits = np.random.default_rng(seed).normal(0, scale, (batch, classes))
    return torch.from_numpy(logits).log_softmax(-1)


def labels(batch: int, classes: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed + 1).integers(0, classes, batch))


@st.composite
def samples(
    draw: st.DrawFn, batch: int = 8, dtype: torch.dtype = torch.float64
) -> tuple[Hierarchy, Tensor, Tensor]:
    """A tree, log-probabilities of some samples, and their labels."""
    tree = draw(hierarchies(max_classes=16, heights=False, attributes=False))
    seed, scale = draw(st.integers(0, 2**32)), draw(st.sampled_from([0.3, 3.0, 30.0]))
    classes = tree.num_classes
    rows = log_probs(batch, classes, seed, scale).to(dtype)
    if draw(st.booleans()) and classes > 2:
        rows[:, classes // 2] = -math.inf
        rows = rows.log_softmax(-1)
    return tree, rows, labels(batch, classes, seed)
