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
from nbdt.hierarchy.validation import FloatArray
from nbdt.rules import ScoreName, get_score

REPEATS = 3
"""How many random orders each decision's features are deleted in."""


@dataclass(frozen=True, eq=False)
class Deletion(Record):
    """How long decisions stand while features are deleted.

    Both curves give the share of decisions that still take the same child: the mean over the
    decisions on each sample's hard path, then over samples.

    Attributes:
        decisions: how many decisions there are on the hard paths of all samples.
        fractions: the share of features that is deleted, from 0 to 1; shape (steps,).
        largest: the curve for the largest contribution first; shape (steps,).
        random: the curve for random order; shape (steps,).
        interval: the 95 % interval of `gain`: Student's, over samples.

    Example:
        >>> curves = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.8, 0.0])
        >>> found = Deletion(20, 60, *curves, interval=(0.3, 0.5))
        >>> found.largest_area, found.random_area, found.is_sooner
        (0.25, 0.65, True)
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

    Cost: about samples × features × classes × 8 × steps multiplications.

    Args:
        features: the inputs of the head; shape (samples, features).
        rows: the head's weights, one row a class; shape (C, features).
        bias: its biases; shape (C,).
        steps: how many steps to delete all features in, equal but for rounding.
        seed: seeds the random orders.

    Raises:
        InputError: the shapes do not fit, there are fewer than two samples or no feature, or a
            number is not finite.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> rows = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0]])
        >>> features = np.array([[1.0, 0.5, 0, 1], [0, 1.0, 0.9, 1], [0.2, 0, 1, 1]])
        >>> found = delete_features(features, rows, np.zeros(3), tree, score="mean", steps=4)
        >>> found.largest_area < found.random_area
        True
    """
    xs, weights, biases = _checked(features, rows, bias, hierarchy.num_classes)
    width = xs.shape[1]
    counts = np.unique(np.linspace(0, width, min(steps, width) + 1).round().astype(np.int64))
    generator = np.random.default_rng(seed)
    deciders: dict[int, _Decider] = {}
    largest, random = [], []
    decisions = 0
    for x in xs:
        stands, node = [], hierarchy.root
        while not hierarchy.is_leaf(node):
            if node not in deciders:
                deciders[node] = _Decider(hierarchy, node, weights, biases, score)
            decider = deciders[node]
            taken, gradient = decider.taken_with_gradient(x)
            orders = [np.argsort(-(gradient * x).numpy(), kind="stable")]
            orders += [generator.permutation(width) for _ in range(REPEATS)]
            # For each order and step, 0 at the features that are deleted by then.
            kept = np.stack([np.argsort(order) >= counts[:, None] for order in orders])
            best = decider.scores(x * torch.from_numpy(kept)).numpy().argmax(axis=-1)
            stands.append(best == taken)
            node = decider.children[taken]
        mean = np.mean(stands, axis=0)
        largest.append(mean[0])
        random.append(mean[1:].mean(axis=0))
        decisions += len(stands)
    fractions = counts / width
    gains = np.trapezoid(random, fractions) - np.trapezoid(largest, fractions)
    quantile = stdtrit(len(gains) - 1, 0.975)
    spread = quantile * gains.std(ddof=1) / np.sqrt(len(gains))
    return Deletion(
        samples=len(xs),
        decisions=decisions,
        fractions=fractions,
        largest=np.mean(largest, axis=0),
        random=np.mean(random, axis=0),
        interval=(float(gains.mean() - spread), float(gains.mean() + spread)),
    )


class _Decider:
    """Decides at one node of the tree, given features."""

    def __init__(
        self, tree: Hierarchy, node: int, rows: Tensor, bias: Tensor, score: ScoreName
    ) -> None:
        self.children = tree.children(node)
        self._score = get_score(score)
        leaves = [tree.leaves(child) for child in self.children]
        own = torch.tensor(list(chain.from_iterable(leaves)))
        self._rows, self._bias = rows[own], bias[own]
        # Children with equally many classes are scored together: their places, and their classes'.
        sizes = torch.tensor(list(map(len, leaves)))
        starts = sizes.cumsum(0) - sizes
        self._families = [
            (places, starts[places, None] + torch.arange(size))
            for size in sorted(set(map(len, leaves)))
            for places in [(sizes == size).nonzero()[:, 0]]
        ]

    def scores(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch children"]:
        logits = features @ self._rows.T + self._bias
        scores = logits.new_empty(*logits.shape[:-1], len(self.children))
        for places, columns in self._families:
            scores[..., places] = self._score.of_leaves(logits[..., columns])
        return scores

    def taken_with_gradient(self, features: Tensor) -> tuple[int, Tensor]:
        """The place of the child taken, and the gradient of its margin over its nearest sibling."""
        x = features.clone().requires_grad_()
        scores = self.scores(x)
        # Stable, so that of equals the lower id comes first.
        taken, rival = np.argsort(-scores.detach().numpy(), kind="stable")[:2].tolist()
        (gradient,) = torch.autograd.grad(scores[taken] - scores[rival], x)
        return taken, gradient


def _checked(
    features: FloatArray, rows: FloatArray, bias: FloatArray, classes: int
) -> tuple[Tensor, Tensor, Tensor]:
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
    xs, weights, biases = map(torch.from_numpy, arrays)
    return xs, weights, biases
