"""Whether the explanation is the model: changing what it names changes the decision.

`evaluate_faithfulness` checks a model. `check_locality` shows that a decision depends only on its
children's scores, `delete_features` that the features with the largest contribution carry it, and
`ControlCounter` whether the tree beats trees that know nothing about the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nbdt.data.samples import Data
from nbdt.errors import InputError
from nbdt.evaluation.controls import Control, ControlCounter
from nbdt.evaluation.deletion import Deletion, delete_features
from nbdt.evaluation.intervals import wilson_interval
from nbdt.evaluation.tables import Record, percent, percent_range, signed, signed_range
from nbdt.hierarchy.validation import FloatArray, is_integer
from nbdt.model import NBDT
from nbdt.rules import Predictions, ScoreName, node_scores, scan
from nbdt.run import Block, Run, answers, forward, forward_with_inputs_of

TOLERANCE = 1e-2
"""How far the logits may be from rows · features + bias, relative to the largest of them."""


@dataclass(frozen=True)
class Locality(Record):
    """What happened to all decisions when the scores at one were changed.

    `local` counts the decisions that changed alone. `gap` is the largest difference, over classes
    and samples, between the model's log-probability and the sum of the decisions on the class's
    path, in nats.
    """

    derived = ("holds",)
    decisions: int
    local: int
    gap: float

    @property
    def holds(self) -> bool:
        """Whether every decision changed alone."""
        return self.local == self.decisions


def check_locality(batch: Predictions) -> Locality:
    """Turns every decision on each sample's hard path, one at a time, and looks at all the others.

    The child taken gets the score of its nearest sibling minus 1.
    """
    tree, layout, score = batch.hierarchy, batch.layout, batch.score.name
    scores = node_scores(batch.temperature.divide(batch.logits), layout, score)
    path = batch.path_to(batch.answers_by("hard", score).cpu().numpy())
    local = 0
    for sample, node, taken in zip(path.samples, path.nodes, path.towards, strict=True):
        before, turned = scores[sample], scores[sample].clone()
        turned[taken] = -torch.inf
        turned[taken] = turned[list(tree.children(int(node)))].max() - 1
        is_changed = scan.decisions(before, layout) != scan.decisions(turned, layout)
        local += set(tree.parents[is_changed.cpu().numpy()].tolist()) == {int(node)}
    sums = scan.path_sums(batch.decisions, layout)
    gaps = (batch.log_probs - sums).abs()
    gaps = gaps.masked_fill(batch.log_probs == sums, 0)  # −∞ for a masked class
    return Locality(len(path.nodes), local, float(gaps.max()) if len(batch) else 0.0)


@dataclass(frozen=True)
class Faithfulness(Record):
    """Whether the tree's explanations are what makes the network's answers.

    `agreeing` counts the hard answers that are the network's, right or wrong. `deletion` is None
    where it cannot be measured, for the reason `why_no_deletion`. `controls` are random trees and
    shuffled leaves.
    """

    derived = ("agreement", "agreement_interval")
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
        """All results as values that JSON can hold."""
        document = super().to_dict()
        if self.deletion is not None:
            del document["why_no_deletion"]
        return document

    def __str__(self) -> str:
        local = self.locality
        return "\n".join(
            [
                f"Is the explanation the model? By hard {self.score}, {self.samples:,} samples:",
                f"Agreement        {percent(self.agreement)} of answers are the network's "
                f"({percent_range(self.agreement_interval)})",
                f"Locality         {local.local:,} of {local.decisions:,} decisions change alone "
                "when their children's scores do; log p is the sum of decisions "
                f"{f'to {local.gap:.0e}' if local.gap else 'exactly'}",
                self._deletion_line(),
                *map(_control_line, self.controls),
            ]
        )

    def _deletion_line(self) -> str:
        if self.deletion is None:
            return f"Deletion         not measured: {self.why_no_deletion}"
        found = self.deletion
        low, high = found.interval
        verdict = "sooner" if found.is_sooner else "NOT sooner beyond chance"
        return (
            "Deletion         without the features that contribute most, decisions turn "
            f"{verdict}: area {found.largest_area:.3f}, at random {found.random_area:.3f} "
            f"(difference {low:.3f} to {high:.3f}; {found.decisions:,} decisions)"
        )


def _control_line(control: Control) -> str:
    verdict = "better" if control.is_better else "NOT better beyond chance"
    return (
        f"{control.kind.capitalize():<15}  {percent(control.accuracy)} correct, with them "
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
    on_failure: Literal["raise", "keep"] = "raise",
    watch: Callable[[Run], Iterable[Block]] = iter,
) -> Faithfulness:
    """Checks on labelled data whether a tree's explanations are what the model does.

    - Agreement: how often the hard answer is the network's.
    - Locality: changing the scores of a node's children changes that decision and no other.
    - Deletion: a decision turns sooner without the features that contribute most to its margin
      than without random ones.
    - Controls: the tree is more accurate than random trees, and than its own shape with shuffled
      leaves (such controls are what Adebayo et al. ask of explanations: "Sanity Checks for Saliency
      Maps", NeurIPS 2018). For an untuned network and ``logsumexp``, hard answers hardly depend on
      the tree, so a good tree need not beat them.

    Args:
        model: its temperature is used, its rule is not.
        data: at least two labelled samples, as for `evaluate`.
        explained: on how many samples, drawn at random, to check locality and deletion.
        trees: how many control trees of each kind.
        on_failure: "keep" leaves out samples that cannot be read or answered.
        watch: iterates over the run, to show progress.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[3.0, 2.0, 0.0], [1.0, 0.0, 5.0], [0.0, 0.5, 0.0]])
        >>> found = evaluate_faithfulness(model, [(logits, torch.tensor([0, 2, 1]))], trees=2)
        >>> found.samples, found.agreement, found.locality.holds
        (3, 1.0, True)
    """
    if not is_integer(explained) or explained < 2:
        raise InputError(f"explained must be an integer ≥ 2; got {explained!r:.80}.")
    head = _Head(model)
    controls = ControlCounter(model.hierarchy, trees=trees, seed=seed)
    drawn = _Drawn(explained, seed)
    samples = agreeing = 0
    run = answers(
        model, data, batch_size=batch_size, rows=1, forward=head.forward, on_failure=on_failure
    )
    for block in watch(run):
        batch = model.predictions(block.logits, "hard", labels=block.labels)
        controls.update(batch)
        agreeing += int((batch.answer_classes == batch.network_answers).sum())
        samples += len(batch)
        drawn.add(block.logits, *block.others)
    compared = controls.compute()
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
    locality = check_locality(model.predictions(logits))
    return Faithfulness(model.score, samples, agreeing, locality, deletion, compared, head.why_not)


class _Head:
    """Reads a model's logits, and the features that its linear head computes them from.

    A head that works at many places, such as a 1×1 convolution, may give the mean of its outputs as
    the logits. That equals its output for the mean of its inputs, which are the features then:
    deleting one deletes its channel at all places. `rows` are the head's weights, one row a class,
    or None where features and rows do not give the logits, for the reason `why_not`.
    """

    def __init__(self, model: NBDT) -> None:
        self.rows: FloatArray | None = None
        self.bias = np.zeros(model.hierarchy.num_classes)
        self.why_not = "no linear layer of the network is known to give the logits"
        head = model.found_head
        if head is None:
            return
        self._path, self._module, self.why_not = head.path, head.module, ""
        # One output z means the logits (0, z).
        rows, one = head.rows.cpu().double().numpy(), head.bias
        missing = len(self.bias) - len(rows)
        self.rows = np.concatenate([np.zeros((missing, rows.shape[1])), rows])
        if one is not None:
            self.bias[missing:] = one.cpu().double().numpy()

    def forward(self, model: NBDT, inputs: Any) -> tuple[Tensor, ...]:
        """The logits of a batch, and the features on the CPU if they can be had."""
        if self.rows is None:
            return (forward(model, inputs),)
        logits, seen = forward_with_inputs_of(self._module, model, inputs)
        if len(seen) == 1:
            features = self._averaged(seen[0]).cpu()
            again = features.double().numpy() @ self.rows.T + self.bias
            found = logits.cpu().double().numpy()
            if np.abs(again - found).max(initial=0) <= TOLERANCE * np.abs(found).max(initial=0):
                return logits, features
            self.why_not = (
                f"the logits are not the output of {self._path!r}, nor its mean over places; "
                "something such as a relu comes after it"
            )
        else:
            self.why_not = f"{self._path!r} is called {len(seen)} times for one answer"
        self.rows = None
        return (logits,)

    def _averaged(self, inputs: Tensor) -> Tensor:
        """The head's inputs, one row a sample: the mean over places where there are many."""
        if isinstance(self._module, torch.nn.Linear):
            return inputs.flatten(1, -2).mean(1) if inputs.ndim > 2 else inputs
        return inputs.flatten(2).mean(2)


class _Drawn:
    """A uniform sample of at most so many rows, drawn as they come."""

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
