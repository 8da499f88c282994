"""Finding the temperatures that make held-out data likeliest.

The negative log-likelihood of a softmax over the scores s at β = 1/T is log Σ exp(β s) − β s_true;
it is convex in β, with the derivative E[s] − s_true, E being the mean under the softmax. So the
root of the derivative's sum over all samples is the best β, and halving an interval finds it, for
the whole network or for all nodes of a tree at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.tables import Record
from nbdt.hierarchy import Hierarchy, shapes
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.model import NBDT
from nbdt.rules import PathDecisions, Predictions, ScoreName, Temperature, TreeLayout, get_score
from nbdt.run import answers

COOLEST, HOTTEST = 0.05, 20.0
"""The range of temperatures: beyond it probabilities hardly change any more."""

# The interval spans a factor of 400; after so many halvings, a factor of 1 + 1e-6.
HALVINGS = 23

MIN_SAMPLES = 50
"""With fewer samples, a node's temperature would be about the samples more than the node."""


@dataclass(frozen=True)
class TemperatureFit(Record):
    """Temperatures that were fitted, and what they gain on the data that they were fitted to.

    Attributes:
        loss_before: −log p of the true class, the mean over the samples, in nats.
        loss_after: the same at the fitted temperatures; never more.
        fingerprint: the `nbdt.data.samples.Fingerprint` of the samples; None for logits alone.
        failures: the samples that were left out, by index, each with the reason.
    """

    temperature: Temperature
    samples: int
    loss_before: float
    loss_after: float
    fingerprint: str | None = None
    failures: Mapping[int, str] | None = None

    def apply_to(self, model: NBDT, **source: Any) -> None:
        """Gives a model these temperatures, and records in its provenance what they come from.

        `source` is recorded too, such as ``data`` and ``part``. Then `SelectiveNBDT.calibrate`
        refuses the same samples in the same order.
        """
        model.temperature = self.temperature
        model.provenance["temperature"] = self.to_dict() | source

    def to_dict(self) -> dict[str, Any]:
        """The fit as values that JSON can hold, as for a model's provenance."""
        document = super().to_dict()
        del document["failures"]
        return document

    def __str__(self) -> str:
        loss = f"−log p {self.loss_before:.4f} → {self.loss_after:.4f}, {self.samples:,} samples"
        if not self.temperature.nodes:
            return f"Temperature {self.temperature.value:.3f} ({loss})."
        values = self.temperature.nodes.values()
        return (
            f"Temperatures of {len(values)} nodes, {min(values):.3f} to {max(values):.3f} "
            f"({loss}); they change the probabilities of the classes, which are no longer the "
            "network's."
        )


def fitted_to(model: NBDT) -> Mapping[str, Any]:
    """What a model's provenance records about the samples that its temperature was fitted to.

    It has their ``fingerprint``, and from commands ``data`` and ``part``. It is empty where nothing
    is recorded, or the model has another temperature by now.
    """
    # A folder may come from a stranger.
    record = model.provenance.get("temperature")
    if not isinstance(record, Mapping) or record.get("temperature") != model.temperature.to_dict():
        return {}
    return record


def fit_temperature(
    model: NBDT,
    data: Data,
    *,
    per_node: bool = False,
    min_samples: int = MIN_SAMPLES,
    batch_size: int = 64,
    on_failure: Literal["raise", "keep"] = "raise",
    progress: Callable[[int], None] | None = None,
) -> TemperatureFit:
    """The temperature that makes a model's true classes likeliest (Guo et al., ICML 2017).

    Fit it on data that neither trained the network nor is used to calibrate or evaluate it. The
    model's own temperature is not used and stays; `TemperatureFit.apply_to` replaces it. A fitted
    temperature stays between 1/20 and 20, which it reaches where decisions are never right, or
    hardly more often than by chance.

    Args:
        data: labelled samples, as for `evaluate`.
        per_node: fit a temperature for every inner node instead of one for the network. This
            changes the probabilities of the classes: see `Temperature`.
        min_samples: nodes that fewer samples pass keep a temperature of 1.

    Raises:
        InputError: as in `evaluate`; or the true class of a sample is masked out.

    Example:
        >>> import torch
        >>> model = NBDT(torch.nn.Identity(), Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> logits = torch.tensor([[9.0, 0, 0]]).repeat(10, 1)
        >>> labels = torch.tensor([0] * 8 + [1, 2])  # near certain, but correct in 8 of 10
        >>> fit_temperature(model, [(logits, labels)]).apply_to(model)
        >>> model.predict_proba(logits[:1])
        tensor([[0.8000, 0.1000, 0.1000]])
    """
    run = answers(
        model,
        data,
        batch_size=batch_size,
        on_failure=on_failure,
        fingerprint=True,
        progress=progress,
    )
    fit = fit_temperature_to_logits(
        run.pairs(), model.hierarchy, score=model.score, per_node=per_node, min_samples=min_samples
    )
    return replace(fit, fingerprint=run.fingerprint, failures=run.failures)


def fit_temperature_to_logits(
    batches: Iterable[tuple[Tensor, Tensor]],
    hierarchy: Hierarchy,
    *,
    score: ScoreName,
    per_node: bool = False,
    min_samples: int = MIN_SAMPLES,
) -> TemperatureFit:
    """`fit_temperature` for (logits, labels) of each batch, without a model but with its score.

    A temperature fitted under another score is wrong. Memory: 8 bytes × samples × classes where
    the score keeps the softmax; otherwise only the children on each sample's path.
    """
    whole = get_score(score).keeps_softmax and not per_node
    # Soft answers are then the network's own softmax: one decision between all classes.
    tree = shapes.flat(hierarchy.num_classes) if whole else hierarchy
    layout, first = TreeLayout(tree), tree.num_classes
    parts, samples = [], 0
    for logits, labels in batches:
        batch = Predictions(logits, layout.to(logits.device), score=score, labels=labels)
        if len(batch):
            path = batch.true_path
            of_path = path.nodes - first if per_node else np.zeros_like(path.nodes)
            parts.append(_Part(path, of_path))
            samples += len(batch)
    if not samples:
        raise InputError("fitting a temperature needs at least one sample.")
    if any(np.isneginf(part.own).any() for part in parts):
        raise InputError("a sample's true class is masked out (a logit of -inf); leave it out.")
    groups = len(tree) - first if per_node else 1
    counts = np.bincount(np.concatenate([part.groups for part in parts]), minlength=groups)
    betas = _best(parts, groups)
    if per_node:
        betas[counts < min_samples] = 1
        nodes = {
            first + group: float(1 / beta)
            for group, beta in enumerate(betas)
            if counts[group] >= min_samples
        }
        temperature = Temperature(nodes=nodes)
    else:
        temperature = Temperature(float(1 / betas[0]))
    before = sum(part.loss(np.ones(groups)) for part in parts) / samples
    after = sum(part.loss(betas) for part in parts) / samples
    return TemperatureFit(temperature, samples, before, after)


class _Part:
    """The decisions of one batch, in groups that share a temperature."""

    def __init__(self, path: PathDecisions, groups: IntArray) -> None:
        self.groups = groups
        self._starts, self._counts = path.starts, path.counts
        self._values: FloatArray = path.values - path.spread(path.highest)
        self.own: FloatArray = path.own - path.highest

    def slopes(self, betas: FloatArray) -> FloatArray:
        """The derivative of each group's loss."""
        weights = self._weights(betas)
        # A masked child has no weight, and no part in the mean.
        scores = weights * np.where(weights > 0, self._values, 0)
        means = np.add.reduceat(scores, self._starts) / np.add.reduceat(weights, self._starts)
        return np.bincount(self.groups, means - self.own, len(betas)).astype(np.float64)

    def loss(self, betas: FloatArray) -> float:
        """The sum of −log p over the decisions."""
        totals = np.log(np.add.reduceat(self._weights(betas), self._starts))
        return float((totals - betas[self.groups] * self.own).sum())

    def _weights(self, betas: FloatArray) -> FloatArray:
        weights: FloatArray = np.exp(self._values * np.repeat(betas[self.groups], self._counts))
        return weights


def _best(parts: list[_Part], groups: int) -> FloatArray:
    """The β of each group, found by halving an interval of its logarithm."""
    low = np.full(groups, np.log(1 / HOTTEST))
    high = np.full(groups, np.log(1 / COOLEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slopes = sum(part.slopes(np.exp(middle)) for part in parts)
        low, high = np.where(slopes > 0, low, middle), np.where(slopes > 0, middle, high)
    # Where all children always have the same score, no β is better than another.
    flat = sum(np.abs(part.slopes(np.ones(groups))) for part in parts) == 0
    return np.where(flat, 1.0, np.exp((low + high) / 2))
