"""One batch of labelled samples with what the tree decided: what every measure counts from."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.data.samples import checked_ids, describe
from nbdt.errors import InputError
from nbdt.evaluation.path_decisions import PathDecisions, Walker
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import RULES, SCORES, Rule, Score, Temperature, TreeLayout


class TreePredictor:
    """Turns logits and labels into the `Predictions` batches that measures are updated with.

    Args:
        hierarchy: the tree; leaf i is class i.
        score: what a node is worth: the model's, `NBDT.score`.
        rule: which answers are judged.
        temperature: what the logits or decisions are divided by first, if anything.

    Raises:
        InputError: the score or the rule is unknown.

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> decider = TreePredictor(tree, score="logsumexp")
        >>> decider.decide(torch.tensor([[2.0, 2.0, 2.2]]), torch.tensor([0])).answers
        array([2])
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        score: Score,
        rule: Rule = "soft",
        temperature: Temperature | None = None,
    ) -> None:
        if score not in SCORES or rule not in RULES:
            raise InputError(
                f"score is one of {', '.join(SCORES)} and rule one of {', '.join(RULES)}; got "
                f"{score!r:.80} and {rule!r:.80}."
            )
        self.layout = TreeLayout(hierarchy)
        self.walker = Walker(hierarchy)
        self.score = score
        self.rule = rule
        self.temperature = temperature or Temperature()
        self._next_index = 0

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree."""
        return self.layout.hierarchy

    def decide(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, " batch"],
        indices: Int[Tensor, " batch"] | None = None,
    ) -> Predictions:
        """One batch with what the tree decided.

        Args:
            logits: the network's logits, a row a sample; −inf masks a class out.
            labels: the true classes, 0 … C−1.
            indices: what the samples are called in examples; by default they are counted on from
                batch to batch, so that they are places in the data.

        Raises:
            InputError: the shapes do not fit, a label is no class, or a row of the logits holds
                NaN or +inf or masks every class.
        """
        labels = checked_labels(logits, labels, self.hierarchy.num_classes)
        if indices is None:
            names = np.arange(self._next_index, self._next_index + len(labels))
        else:
            names = torch.as_tensor(indices).cpu().numpy().astype(np.int64)
            if names.shape != (len(labels),):
                raise InputError(
                    f"indices need one number a sample, shape ({len(labels)},); got {names.shape}."
                )
        self._next_index += len(labels)
        self.layout.to(logits.device)
        return Predictions(self, logits.detach(), labels, names)


class Predictions:
    """One batch: the samples, the tree's answers, and what was decided on the ways to them.

    Everything is worked out when it is first asked for, and once.

    Attributes:
        labels: the true classes; shape (batch,).
        indices: what the samples are called in examples; shape (batch,).

    Example:
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"])
        >>> decider = TreePredictor(tree, score="mean")
        >>> decided = decider.decide(torch.tensor([[3.0, 0, 0]]), torch.tensor([1]))
        >>> decided.answer_ways.right, decided.true_ways.right
        (array([ True,  True]), array([False,  True]))
    """

    def __init__(
        self, by: TreePredictor, logits: Tensor, labels: Tensor, indices: IntArray
    ) -> None:
        self._by = by
        self._logits = logits
        self.labels: IntArray = labels.cpu().numpy()
        self.indices = indices

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def walker(self) -> Walker:
        """The tables of the tree."""
        return self._by.walker

    @cached_property
    def decisions(self) -> Tensor:
        """The log-probability of every node given its parent, by id; shape (batch, nodes)."""
        by = self._by
        return by.temperature.decisions(self._logits, by.layout, by.score)

    @cached_property
    def log_probs(self) -> Tensor:
        """The soft log-probability of every class; shape (batch, C)."""
        by = self._by
        return by.temperature.log_probs(self._logits, by.layout, by.score)

    @cached_property
    def answers(self) -> IntArray:
        """The class that the rule answers; shape (batch,)."""
        if self._by.rule == "soft":
            answers = self.log_probs.max(dim=-1).indices
        else:
            by = self._by
            answers = by.temperature.hard_predict(self._logits, by.layout, by.score)
        array: IntArray = answers.cpu().numpy()
        return array

    @cached_property
    def answer_probabilities(self) -> FloatArray:
        """The soft probability of the answer; shape (batch,)."""
        answers = torch.from_numpy(self.answers).to(self.log_probs.device)
        chosen = self.log_probs.gather(1, answers[:, None])[:, 0].cpu().double().exp()
        # Rounding may leave a probability a hair above 1.
        array: FloatArray = chosen.clamp_max(1).numpy()
        return array

    @cached_property
    def true_ways(self) -> PathDecisions:
        """The decisions on the ways to the true classes."""
        return self.walker.ways(self.decisions.cpu().numpy(), self.labels)

    @cached_property
    def answer_ways(self) -> PathDecisions:
        """The decisions on the ways to the answers."""
        return self.walker.ways(self.decisions.cpu().numpy(), self.answers)


def checked_labels(logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The labels as int64 on the logits' device; refuses what is no batch of labelled logits.

    Raises:
        InputError: the shapes do not fit, a label is no class, or a row of the logits holds
            NaN or +inf or masks every class.
    """
    check_logits(logits, num_classes)
    return checked_ids(labels, len(logits), num_classes).to(logits.device)


def check_logits(logits: Tensor, num_classes: int) -> None:
    """Refuses what is no batch of logits.

    Raises:
        InputError: the shape does not fit, or a row holds NaN or +inf or masks every class.
    """
    if (
        not isinstance(logits, Tensor)
        or not logits.is_floating_point()
        or logits.ndim != 2
        or logits.shape[1] != num_classes
    ):
        raise InputError(
            f"logits have to be floating point numbers of shape (batch, {num_classes}), a row "
            f"a sample; got {describe(logits)}."
        )
    if len(logits):
        # NaN and +inf show in a row's largest logit, and so does a row of −inf only.
        wrong = (~logits.amax(dim=-1).isfinite()).nonzero()[:, 0].tolist()
        if wrong:
            raise InputError(
                f"the logits of {len(wrong)} of {len(logits)} samples hold NaN or +inf, or "
                f"are all -inf (the first is row {wrong[0]}); look at the input and weights."
            )
