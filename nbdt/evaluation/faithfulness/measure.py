"""`evaluate_faithfulness`: all checks of a model in one pass over labelled data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbdt.classifiers import find_head
from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.faithfulness.controls import Control, ControlCounter
from nbdt.evaluation.faithfulness.deletion import Deletion, delete_features
from nbdt.evaluation.faithfulness.locality import Locality, check_locality
from nbdt.evaluation.interval import wilson_interval
from nbdt.evaluation.paired import signed, signed_range
from nbdt.evaluation.text import percent, percent_range
from nbdt.model import NBDT
from nbdt.rules import ScoreName
from nbdt.run import answers, forward, forward_with_inputs_of

# How far the logits may be from those worked out anew from the features, of the largest of them.
TOLERANCE = 1e-2


@dataclass(frozen=True)
class Faithfulness:
    """Whether what a tree says of a network's answers is what makes them.

    Attributes:
        score: what a node is worth.
        samples: how many samples were answered.
        agreeing: how many hard answers of the tree are those of the network, right or wrong.
        locality: whether decisions rest on nothing but the scores of their children.
        deletion: whether the features that speak most for decisions carry them. None where that
            cannot be told: the logits are not the output of the head, or its mean over places.
        controls: the tree beside random trees, and beside its own shape with shuffled leaves.
        why_no_deletion: the reason, where `deletion` is None; else "".

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"])
        >>> logits = torch.tensor([[3.0, 1, 0, 0], [0, 1, 2, 3], [0, 4, 2, 2]])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> found = evaluate_faithfulness(model, [(logits, torch.tensor([0, 3, 1]))], trees=2)
        >>> found.locality.holds, found.agreement
        (True, 1.0)
    """

    score: ScoreName
    samples: int
    agreeing: int
    locality: Locality
    deletion: Deletion | None
    controls: tuple[Control, Control]
    why_no_deletion: str = ""

    @property
    def agreement(self) -> float:
        """The share of hard answers that are the network's."""
        return self.agreeing / self.samples

    @property
    def agreement_interval(self) -> tuple[float, float]:
        """The 95 % interval of the agreement, by `wilson_interval`."""
        return wilson_interval(self.agreeing, self.samples)

    def to_dict(self) -> dict[str, Any]:
        """All that was found as values that JSON can hold."""
        return {
            "score": self.score,
            "samples": self.samples,
            "agreeing": self.agreeing,
            "agreement": self.agreement,
            "agreement_interval": list(self.agreement_interval),
            "locality": self.locality.to_dict(),
            "deletion": self.deletion and self.deletion.to_dict(),
            **({} if self.deletion else {"why_no_deletion": self.why_no_deletion}),
            "controls": [control.to_dict() for control in self.controls],
        }

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Is the explanation the model? By hard {self.score}, {self.samples:,} samples:",
                f"Agreement        {percent(self.agreement)} of answers are the network's "
                f"({percent_range(self.agreement_interval)})",
                self._locality_line(),
                self._deletion_line(),
                *map(_control_line, self.controls),
            ]
        )

    def _locality_line(self) -> str:
        found = self.locality
        return (
            f"Locality         {found.local:,} of {found.decisions:,} decisions change alone when "
            f"their children's scores do; log p is the sum of decisions "
            f"{f'to {found.gap:.0e}' if found.gap else 'exactly'}"
        )

    def _deletion_line(self) -> str:
        if self.deletion is None:
            return f"Deletion         not measured: {self.why_no_deletion}"
        found = self.deletion
        low, high = found.interval
        verdict = "sooner" if found.is_sooner else "NOT sooner beyond chance"
        return (
            "Deletion         without the features that speak most for them decisions turn "
            f"{verdict}: area {found.largest_area:.3f}, at random {found.random_area:.3f} "
            f"(difference {low:.3f} to {high:.3f}; {found.decisions:,} decisions)"
        )


def _control_line(control: Control) -> str:
    verdict = "better" if control.is_better else "NOT better beyond chance"
    return (
        f"{control.kind.capitalize():<15}  {percent(control.accuracy)} right, with them "
        f"{percent(control.control_accuracy)}: {verdict}, by {signed(control.gain)} points "
        f"({signed_range(control.interval)}); ahead of {control.better_than} of "
        f"{len(control.control_correct)}"
    )


def evaluate_faithfulness(
    model: NBDT,
    data: Data,
    *,
    batch_size: int = 64,
    explained: int = 100,
    trees: int = 10,
    seed: int = 0,
) -> Faithfulness:
    """Checks on labelled data whether a tree's explanations are what the model does.

    - Agreement: how often the hard answer is the network's.
    - Locality: interfering with the scores of a node's children changes that decision and no
      other (`check_locality`).
    - Deletion: without the features that have the largest part in its margin, a decision turns
      sooner than without random ones (`delete_features`).
    - Controls: the tree is more often right than random trees, and than its own shape with
      shuffled leaves (`ControlCounter`; such controls are what Adebayo et al. ask of
      explanations: "Sanity Checks for Saliency Maps", NeurIPS 2018).

    The result says of each whether it holds. For an untuned network and ``logsumexp`` hard answers
    hardly depend on the tree, so a good tree need not be better than its controls there.

    Args:
        model: the model; its temperature is used, its rule is not.
        data: labelled samples, one by one or in batches, as for `evaluate`.
        batch_size: how many samples given one by one share a batch.
        explained: how many samples, drawn at random, decisions are looked at of.
        trees: how many control trees of each kind.
        seed: seeds all that is random.

    Raises:
        InputError: there are less than two samples, an argument is out of range, a label is no
            class, or the network's answer to a sample is NaN or infinite.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0], [0.0, 0.5, 0.0]])
        >>> found = evaluate_faithfulness(model, [(logits, torch.tensor([0, 2, 1]))], trees=2)
        >>> found.samples, found.locality.local == found.locality.decisions
        (3, True)
    """
    if isinstance(explained, bool) or not isinstance(explained, int) or explained < 2:
        raise InputError(f"explained has to be a whole number from 2 on; got {explained!r:.80}.")
    head = _Head(model)
    controls = ControlCounter(model.hierarchy, score=model.score, trees=trees, seed=seed)
    drawn = _Drawn(explained, seed)
    samples = agreeing = 0
    for block in answers(model, data, batch_size=batch_size, rows=1, forward=head.forward):
        logits = block.logits
        controls.update(model.temperature.divide(logits), block.labels)
        hard = model.temperature.hard_predict(logits, model.layout, model.score)
        agreeing += int((hard == logits.argmax(-1)).sum())
        samples += len(logits)
        drawn.add(logits, *block.others)
    compared = controls.result()
    logits, features = drawn.rows()
    deletion = None
    if head.rows is not None and features is not None:
        hot = model.temperature.value
        deletion = delete_features(
            features.double().numpy(),
            head.rows / hot,
            head.bias / hot,
            model.hierarchy,
            score=model.score,
            seed=seed,
        )
    locality = check_locality(
        logits.to(model.layout.sizes.device),
        model.layout,
        score=model.score,
        temperature=model.temperature,
    )
    return Faithfulness(model.score, samples, agreeing, locality, deletion, compared, head.why_not)


class _Head:
    """Reads a model's logits, and the features that its linear head makes them from.

    A head that works at many places, such as a 1×1 convolution, gives as many answers, whose mean
    is then the logits. It is the same as one answer to the mean of its inputs, which are the
    features then: to delete one of them is to delete its channel at all places.

    Attributes:
        rows: the head's weights, a row a class; None from when it is known that features and
            rows do not give the logits.
        bias: its biases.
        why_not: why there are no rows; "" where there are.
    """

    def __init__(self, model: NBDT) -> None:
        self.rows: np.ndarray[Any, np.dtype[np.float64]] | None = None
        self.bias = np.zeros(model.hierarchy.num_classes)
        self.why_not = "no linear layer of the network is known to give the logits"
        if model.head is None:
            return
        head = find_head(model.network, model.head)
        self._path, self._module, self.why_not = head.path, head.module, ""
        # One output z means the logits (0, z).
        rows, one = head.rows.cpu().double().numpy(), head.bias
        missing = len(self.bias) - len(rows)
        self.rows = np.concatenate([np.zeros((missing, rows.shape[1])), rows])
        if one is not None:
            self.bias[missing:] = one.cpu().double().numpy()

    def forward(self, model: NBDT, inputs: Any) -> tuple[Tensor, ...]:
        """The logits of a batch, and the features on the CPU if they are to be had."""
        if self.rows is None:
            return (forward(model, inputs),)
        logits, seen = forward_with_inputs_of(self._module, model, inputs)
        if len(seen) == 1:
            features = self._averaged(seen[0]).cpu()
            anew = features.double().numpy() @ self.rows.T + self.bias
            found = logits.cpu().double().numpy()
            if np.abs(anew - found).max(initial=0) <= TOLERANCE * np.abs(found).max(initial=0):
                return logits, features
            self.why_not = (
                f"the logits are not the output of {self._path!r}, nor its mean over places; "
                "something such as a relu comes after it"
            )
        else:
            self.why_not = f"{self._path!r} is asked {len(seen)} times for one answer"
        self.rows = None
        return (logits,)

    def _averaged(self, inputs: Tensor) -> Tensor:
        """The head's inputs, of which there may be many at as many places, as a row a sample."""
        if isinstance(self._module, torch.nn.Linear):
            return inputs.flatten(1, -2).mean(1) if inputs.ndim > 2 else inputs
        return inputs.flatten(2).mean(2)


class _Drawn:
    """A sample of at most so many rows, each as likely as any other, drawn as they come."""

    def __init__(self, most: int, seed: int) -> None:
        self._most = most
        self._generator = np.random.default_rng(seed)
        self._kept: list[tuple[float, Tensor, Tensor | None]] = []

    def add(self, logits: Tensor, features: Tensor | None = None) -> None:
        # The rows with the smallest of independent random numbers are such a sample.
        for place, key in enumerate(self._generator.random(len(logits)).tolist()):
            row = None if features is None else features[place].clone()
            self._kept.append((key, logits[place].cpu().clone(), row))
        self._kept = sorted(self._kept, key=lambda one: one[0])[: self._most]

    def rows(self) -> tuple[Tensor, Tensor | None]:
        logits = torch.stack([one for _, one, _ in self._kept])
        features = [one for _, _, one in self._kept if one is not None]
        whole = len(features) == len(logits)
        return logits, torch.stack(features) if whole else None
