"""Whether the features that contribute most to a decision are the ones that carry it.

At a node with the child c taken and the nearest sibling d, feature j contributes

    ∂(s_c − s_d) / ∂h_j · h_j

to the margin s_c − s_d: its gradient times the feature h_j, an input of the classifier's linear
head (Shrikumar et al., "Not Just a Black Box", arXiv 1605.01713). Under the score ``mean`` the
contributions and the biases add up to the margin.

Features are deleted (set to 0), largest contribution first, to see how long c stays the likeliest
child (the deletion metric of Petsiuk et al., "RISE", BMVC 2018; Samek et al., IEEE TNNLS 28, 2017).
A true explanation turns decisions sooner than deleting features at random does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor

from nbdt.errors import InputError
from nbdt.evaluation.tables import Record
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import Score, ScoreName, get_score

REPEATS = 3
"""How many random orders each decision's features are deleted in."""


@dataclass(frozen=True, eq=False)
class Deletion(Record):
    """How long decisions stand while features are deleted.

    Both curves give the share of decisions that still take the same child: the mean over the
    decisions on each sample's hard path, then over samples. Each has shape (steps,), beside the
    `fractions` of features that are deleted, from 0 to 1: `largest` contribution first, or `random`
    order. `interval` is Student's 95 % interval of `gain`, over samples.
    """

    derived = ("largest_area", "random_area", "gain", "is_sooner")
    samples: int
    decisions: int
    fractions: FloatArray
    largest: FloatArray
    random: FloatArray
    interval: tuple[float, float]

    @property
    def largest_area(self) -> float:
        """The area under the curve for the largest contribution first: smaller is sooner."""
        return float(np.trapezoid(self.largest, self.fractions))

    @property
    def random_area(self) -> float:
        """The area under the curve for random order."""
        return float(np.trapezoid(self.random, self.fractions))

    @property
    def gain(self) -> float:
        """How much smaller the area is than for random order."""
        return self.random_area - self.largest_area

    @property
    def is_sooner(self) -> bool:
        """Whether the largest contributions turn decisions sooner, beyond chance."""
        return self.interval[0] > 0


def delete_features(
    features: FloatArray,
    rows: FloatArray,
    bias: FloatArray,
    hierarchy: Hierarchy,
    *,
    score: ScoreName = "logsumexp",
    steps: int = 50,
    seed: int = 0,
) -> Deletion:
    """Deletes the features of every decision on each sample's hard path, step by step.

    Memory: 8 bytes × samples × features × depth of the tree.

    Args:
        features: the inputs of the head; shape (samples, features).
        rows: the head's weights, one row a class; shape (C, features).
        bias: its biases; shape (C,).
        steps: how many steps to delete all features in, equal but for rounding.
    """
    xs, weights, biases = _checked(features, rows, bias, hierarchy.num_classes)
    width = xs.shape[1]
    counts = np.unique(np.linspace(0, width, min(steps, width) + 1).round().astype(np.int64))
    generator = np.random.default_rng(seed)
    # By sample, from the root down: what decides, the child taken, and the contributions to that.
    paths: list[list[tuple[_Decider, int, FloatArray]]] = [[] for _ in xs]
    reached = np.full(len(xs), hierarchy.root)
    for node in sorted(hierarchy.inner, key=hierarchy.depth):
        samples = np.flatnonzero(reached == node)
        if len(samples):
            children = hierarchy.children(node)
            leaves = [hierarchy.leaves(child) for child in children]
            decider = _Decider(leaves, weights, biases, get_score(score))
            taken, contributions = decider.taken(xs[samples])
            for place, sample in enumerate(samples.tolist()):
                paths[sample].append((decider, int(taken[place]), contributions[place]))
            reached[samples] = np.array(children)[taken]
    largest, random = [], []
    for x, path in zip(xs, paths, strict=True):
        stands = []
        for decider, child, parts in path:
            orders = [np.argsort(-parts, kind="stable")]
            orders += [generator.permutation(width) for _ in range(REPEATS)]
            stands.append(decider.taken_without(x, orders, counts) == child)
        mean = np.mean(stands, axis=0)
        largest.append(mean[0])
        random.append(mean[1:].mean(axis=0))
    fractions = counts / width
    gains = np.trapezoid(random, fractions) - np.trapezoid(largest, fractions)
    quantile = stdtrit(len(gains) - 1, 0.975)
    spread = quantile * gains.std(ddof=1) / np.sqrt(len(gains))
    return Deletion(
        samples=len(xs),
        decisions=sum(map(len, paths)),
        fractions=fractions,
        largest=np.mean(largest, axis=0),
        random=np.mean(random, axis=0),
        interval=(float(gains.mean() - spread), float(gains.mean() + spread)),
    )


class _Decider:
    """Decides at one node of the tree, given features."""

    def __init__(
        self, children: Sequence[Sequence[int]], rows: FloatArray, bias: FloatArray, score: Score
    ) -> None:
        if score.is_linear:  # a child's score is the logit of its mean row
            sizes = np.array([len(leaves) for leaves in children])
            own, starts = list(chain.from_iterable(children)), np.cumsum(sizes) - sizes
            rows = np.add.reduceat(rows[own], starts) / sizes[:, None]
            bias = np.add.reduceat(bias[own], starts) / sizes
            children = [[child] for child in range(len(children))]
        self._score = score
        # Children with equally many leaves are scored together, so their leaves are neighbors.
        sizes = np.array([len(leaves) for leaves in children])
        order = np.argsort(sizes, kind="stable")
        own = [leaf for child in order for leaf in children[child]]
        self._rows, self._bias = rows[own], bias[own]
        self._child_of = np.repeat(order, sizes[order])
        self._places = torch.from_numpy(np.argsort(order))
        families, counts = np.unique(sizes, return_counts=True)
        self._sizes, self._widths = families.tolist(), (families * counts).tolist()

    def taken(self, xs: FloatArray) -> tuple[IntArray, FloatArray]:
        """The places of the children taken, and what each feature contributes to their margins."""
        logits = torch.from_numpy(xs @ self._rows.T + self._bias)
        # Stable, so that of equals the first comes first.
        taken, rival = np.argsort(-self._scores(logits), kind="stable")[:, :2].T
        weights = [self._score.leaf_weights(one).flatten(-2) for one in self._by_child(logits)]
        signs = (self._child_of == taken[:, None]) - 1.0 * (self._child_of == rival[:, None])
        return taken, (signs * torch.cat(weights, -1).numpy()) @ self._rows * xs

    def taken_without(self, x: FloatArray, orders: list[IntArray], counts: IntArray) -> IntArray:
        """The child taken once so many features, the first in order, are deleted; (orders, counts).

        `counts` ascends from none to all.
        """
        steps = np.take(self._rows * x, np.stack(orders), axis=1)
        added = np.zeros((*steps.shape[:2], len(counts)))
        np.add.reduceat(steps, counts[:-1], axis=-1, out=added[..., :-1])
        # Summed from the end, where all features are deleted and the logits are the bias.
        logits = added[..., ::-1].cumsum(-1)[..., ::-1] + self._bias[:, None, None]
        scores = self._scores(torch.from_numpy(np.moveaxis(logits, 0, -1)))
        taken: IntArray = scores.argmax(-1)
        return taken

    def _by_child(self, logits: Float[Tensor, "*batch leaves"]) -> list[Tensor]:
        """For each size, the logits under the children of that size: (*batch, children, leaves)."""
        families = zip(torch.split(logits, self._widths, -1), self._sizes, strict=True)
        return [torch.unflatten(family, -1, (-1, size)) for family, size in families]

    def _scores(self, logits: Float[Tensor, "*batch leaves"]) -> FloatArray:
        # The score of a single leaf is its logit.
        scores = [
            one[..., 0] if one.shape[-1] == 1 else self._score.of_leaves(one)
            for one in self._by_child(logits)
        ]
        found: FloatArray = torch.cat(scores, -1)[..., self._places].numpy()
        return found


def _checked(
    features: FloatArray, rows: FloatArray, bias: FloatArray, classes: int
) -> list[FloatArray]:
    arrays = [np.asarray(one, dtype=np.float64) for one in (features, rows, bias)]
    width = arrays[0].shape[-1] if arrays[0].ndim == 2 else 0
    if width < 1 or arrays[1].shape != (classes, width) or arrays[2].shape != (classes,):
        raise InputError(
            f"features, rows and biases need shapes (samples, features), ({classes}, features) and "
            f"({classes},); got {', '.join(str(one.shape) for one in arrays)}."
        )
    if len(arrays[0]) < 2:
        raise InputError(f"curves need at least two samples; got {len(arrays[0])}.")
    if not all(np.isfinite(one).all() for one in arrays):
        raise InputError("the features, rows or biases hold NaN or infinite numbers.")
    return arrays
