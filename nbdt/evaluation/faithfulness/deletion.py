"""Whether the features that speak most for a decision are those that carry it.

At a node with the child c taken and the nearest sibling d, the part of feature j in the margin
s_c − s_d is

    ∂(s_c − s_d) / ∂h_j · h_j,

its gradient times the feature h_j, the input of the classifier's linear head (Shrikumar et al.,
"Not Just a Black Box", arXiv 1605.01713). With the score ``mean`` the gradient is the difference
of the mean weight rows, w̄_c − w̄_d, and the parts and the biases add up to the margin; with
``logsumexp`` each child's rows are weighted by the softmax of its leaves' logits.

Features are deleted, which is set to 0, those with the largest part first, and it is watched
whether c is still the likeliest child (the deletion metric of Petsiuk et al., "RISE", BMVC 2018;
Samek et al., IEEE TNNLS 28, 2017). An explanation that is true turns decisions sooner than
deleting features at random does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import Predictions, Score, ScoreName, TreeLayout

# How many times features are deleted in random order for each decision.
REPEATS = 3


@dataclass(frozen=True, eq=False)
class Deletion:
    """How long decisions stand while features are deleted.

    Both curves say what share of decisions still take the same child: the mean over the decisions
    on each sample's hard path, then over samples.

    Attributes:
        samples: how many samples there were.
        decisions: how many decisions there were on their paths.
        fractions: the share of features that is deleted, from 0 to 1; shape (steps,).
        largest: the share of decisions that stand, largest part first; shape (steps,).
        random: the same, in random order; shape (steps,).
        interval: the 95 % interval of `gain`: Student's, over samples.

    Example:
        >>> curves = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.8, 0.0])
        >>> found = Deletion(20, 60, *curves, interval=(0.3, 0.5))
        >>> found.largest_area, found.random_area, found.is_sooner
        (0.25, 0.65, True)
    """

    samples: int
    decisions: int
    fractions: FloatArray
    largest: FloatArray
    random: FloatArray
    interval: tuple[float, float]

    @property
    def largest_area(self) -> float:
        """The area under the curve of the largest parts: smaller is sooner."""
        return float(_areas(self.largest, self.fractions))

    @property
    def random_area(self) -> float:
        """The area under the curve of random features."""
        return float(_areas(self.random, self.fractions))

    @property
    def gain(self) -> float:
        """By how much the area is smaller than that of random features."""
        return self.random_area - self.largest_area

    @property
    def is_sooner(self) -> bool:
        """Whether the largest parts turn decisions sooner, beyond chance."""
        return self.interval[0] > 0

    def to_dict(self) -> dict[str, Any]:
        """The curves and areas as values that JSON can hold."""
        return {
            "samples": self.samples,
            "decisions": self.decisions,
            "fractions": self.fractions.tolist(),
            "largest": self.largest.tolist(),
            "random": self.random.tolist(),
            "largest_area": self.largest_area,
            "random_area": self.random_area,
            "gain": self.gain,
            "interval": list(self.interval),
            "is_sooner": self.is_sooner,
        }


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

    Cost: about (samples × features × classes × 8 × steps) multiplications.

    Args:
        features: the input of the head; shape (samples, features).
        rows: the head's weights, a row a class; shape (C, features).
        bias: its biases; shape (C,).
        hierarchy: the tree.
        score: what a node is worth.
        steps: in how many steps, equal but for rounding, features are deleted.
        seed: seeds the random orders.

    Raises:
        InputError: the shapes do not fit, there are less than two samples or no feature, or a
            number is not finite.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> rows = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0]])
        >>> features = np.array([[1.0, 0.5, 0, 1], [0, 1.0, 0.9, 1], [0.2, 0, 1, 1]])
        >>> found = delete_features(features, rows, np.zeros(3), tree, score="mean", steps=4)
        >>> found.largest_area < found.random_area
        True
    """
    features, rows, bias = _checked(features, rows, bias, hierarchy.num_classes)
    width = features.shape[1]
    counts = np.unique(np.linspace(0, width, min(steps, width) + 1).round().astype(np.int64))
    generator = np.random.default_rng(seed)
    largest, random = [], []
    decisions = 0
    predictions = Predictions(
        torch.from_numpy(features @ rows.T + bias), TreeLayout(hierarchy), score=score, rule="hard"
    )
    path = predictions.answer_path
    ordered = iter(path.root_first.tolist())
    lengths = hierarchy.depths[predictions.answers].tolist()
    for row, logits, length in zip(features, predictions.logits, lengths, strict=True):
        stands = []
        for step in islice(ordered, length):
            children = hierarchy.children(int(path.nodes[step]))
            places = [children.index(int(one[step])) for one in (path.towards, path.rivals)]
            families = [np.array(hierarchy.leaves(child)) for child in children]
            leads = _gradient(predictions.score, logits, *(families[place] for place in places))
            leaves = np.concatenate(families)
            orders = [np.argsort(-(leads @ rows) * row, kind="stable")]
            orders += [generator.permutation(width) for _ in range(REPEATS)]
            kept = np.stack([row[:, None] * _kept(order, counts) for order in orders], axis=1)
            found = torch.from_numpy(rows[leaves] @ kept.reshape(width, -1) + bias[leaves][:, None])
            sizes = [len(family) for family in families]
            scores = [predictions.score.of_leaves(part.T) for part in torch.split(found, sizes)]
            best = torch.stack(scores).numpy().argmax(axis=0)
            stands.append((best == places[0]).reshape(len(orders), -1))
        mean = np.mean(stands, axis=0)
        largest.append(mean[0])
        random.append(mean[1:].mean(axis=0))
        decisions += len(stands)
    fractions = counts / width
    gains = _areas(np.array(random), fractions) - _areas(np.array(largest), fractions)
    quantile = student.ppf(0.975, len(gains) - 1)
    spread = quantile * gains.std(ddof=1) / np.sqrt(len(gains))
    return Deletion(
        samples=len(features),
        decisions=decisions,
        fractions=fractions,
        largest=np.mean(largest, axis=0),
        random=np.mean(random, axis=0),
        interval=(float(gains.mean() - spread), float(gains.mean() + spread)),
    )


def _gradient(score: Score, logits: Tensor, taken: IntArray, rival: IntArray) -> FloatArray:
    """The gradient of one node's score less that of another to the logits; shape (C,)."""
    with torch.enable_grad():
        variable = logits.clone().requires_grad_()
        lead = score.of_leaves(variable[taken]) - score.of_leaves(variable[rival])
        gradient: FloatArray = torch.autograd.grad(lead, variable)[0].numpy()
    return gradient


def _kept(order: IntArray, counts: IntArray) -> FloatArray:
    """Whether a feature is left when so many, first in order first, are deleted."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    kept: FloatArray = (places[:, None] >= counts).astype(np.float64)
    return kept


def _areas(curves: FloatArray, fractions: FloatArray) -> FloatArray:
    """The areas under curves, by the trapezoidal rule."""
    heights = (curves[..., 1:] + curves[..., :-1]) / 2
    areas: FloatArray = heights @ np.diff(fractions)
    return areas


def _checked(
    features: FloatArray, rows: FloatArray, bias: FloatArray, classes: int
) -> tuple[FloatArray, ...]:
    arrays = tuple(np.asarray(one, dtype=np.float64) for one in (features, rows, bias))
    width = arrays[0].shape[-1] if arrays[0].ndim == 2 else 0
    if width < 1 or arrays[1].shape != (classes, width) or arrays[2].shape != (classes,):
        raise InputError(
            f"features, rows and biases need shapes (samples, features), ({classes}, features) and "
            f"({classes},); got {', '.join(str(one.shape) for one in arrays)}."
        )
    if len(arrays[0]) < 2:
        raise InputError(f"curves need two samples or more, got {len(arrays[0])}.")
    if not all(np.isfinite(one).all() for one in arrays):
        raise InputError("the features, rows or biases hold NaN or infinite numbers.")
    return arrays
