"""`Predictions`: one batch of logits with what its tree decides; and the rules that answer.

To add a rule, write a subclass of `Rule` here and add an instance to `RULES` and its name to
`RuleName`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import scan
from nbdt.rules.checks import check_logits, checked_ids
from nbdt.rules.layout import TreeLayout
from nbdt.rules.paths import PathDecisions
from nbdt.rules.scores import SCORES, ScoreName, chosen, get_score
from nbdt.rules.temperature import Temperature

RuleName = Literal["soft", "hard"]


class Predictions:
    """One batch of logits and what its tree decides: the base of explanations and measures.

    Everything is computed once, when first needed, and without gradients.

    Args:
        logits: shape (batch, C), without NaN or +inf. −inf masks a class out, but not all.
        layout: the tree; the results are on the device of the logits.
        score: how a node is scored.
        rule: how decisions become an answer.
        temperature: divides the logits, or the scores at single nodes.
        labels: the true classes, if known; shape (batch,).
        indices: the samples' ids in examples; by default 0, 1, 2, ….

    Example:
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> logits, labels = torch.tensor([[2.0, 2.0, 2.2]]), torch.tensor([0])
        >>> found = Predictions(logits, layout, score="logsumexp", labels=labels)
        >>> found.answers, found.answers_by("hard", "logsumexp"), found.true_path.right
        (array([2]), tensor([0]), array([ True,  True]))
    """

    def __init__(
        self,
        logits: Float[Tensor, "batch classes"],
        layout: TreeLayout,
        *,
        score: ScoreName,
        rule: RuleName = "soft",
        temperature: Temperature | float | None = None,
        labels: Integer[Tensor, " batch"] | None = None,
        indices: Integer[Tensor, " batch"] | None = None,
    ) -> None:
        if not isinstance(layout, TreeLayout):
            raise InputError(f"layout must be a TreeLayout, got {type(layout).__name__}.")
        self.score, self.rule = get_score(score), get_rule(rule)
        self.temperature = Temperature.from_value(temperature)
        check_logits(logits, layout.num_classes)
        self.logits, self.layout = logits.detach(), layout.on(logits.device)
        self._labels: IntArray | None = None
        if labels is not None:
            self._labels = checked_ids(labels, len(logits), layout.num_classes).cpu().numpy()
        if indices is None:
            self.indices: IntArray = np.arange(len(logits))
        else:
            self.indices = torch.as_tensor(indices).cpu().numpy().astype(np.int64)
            if self.indices.shape != (len(logits),):
                raise InputError(
                    f"indices need one number a sample, shape ({len(logits)},); got "
                    f"{self.indices.shape}."
                )
        self._by_score: dict[str, Tensor] = {}
        self._answers: dict[tuple[str, str], Tensor] = {}

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree."""
        return self.layout.hierarchy

    @property
    def labels(self) -> IntArray:
        """The true classes, shape (batch,); an InputError if they are unknown."""
        if self._labels is None:
            raise InputError("these samples have no labels; give labels=….")
        return self._labels

    @cached_property
    @torch.no_grad()
    def decisions(self) -> Float[Tensor, "batch nodes"]:
        """The log-probability of every node given its parent, by id."""
        return self.temperature.decisions(self.logits, self.layout, self.score.name)

    @property
    def log_probs(self) -> Float[Tensor, "batch classes"]:
        """The soft log-probability of every class, whatever the rule."""
        return self.log_probs_by(self.score.name)

    @torch.no_grad()
    def log_probs_by(self, score: ScoreName) -> Float[Tensor, "batch classes"]:
        """The soft log-probability of every class under any score."""
        if score not in self._by_score:
            if self.temperature.nodes and score == self.score.name:
                found = scan.path_sums(self.decisions, self.layout)
            else:
                found = self.temperature.log_probs(self.logits, self.layout, score)
            self._by_score[score] = found
        return self._by_score[score]

    def answers_by(self, rule: RuleName, score: ScoreName) -> Int[Tensor, " batch"]:
        """The class that any rule answers under any score."""
        if (rule, score) not in self._answers:
            self._answers[rule, score] = get_rule(rule).answers(self, score)
        return self._answers[rule, score]

    @property
    def answer_classes(self) -> Int[Tensor, " batch"]:
        """The class that the rule answers, as a tensor on the device of the logits."""
        return self.answers_by(self.rule.name, self.score.name)

    @cached_property
    def answers(self) -> IntArray:
        """The class that the rule answers; shape (batch,)."""
        answers: IntArray = self.answer_classes.cpu().numpy()
        return answers

    @cached_property
    def network_answers(self) -> Int[Tensor, " batch"]:
        """The class with the largest logit: the network's own prediction."""
        return self.logits.max(dim=-1).indices

    @cached_property
    def answer_probabilities(self) -> FloatArray:
        """The soft probability of the answer; shape (batch,)."""
        own = self.log_probs.gather(1, self.answer_classes[:, None])[:, 0]
        # Rounding may leave a probability a hair above 1.
        array: FloatArray = own.cpu().double().exp().clamp_max(1).numpy()
        return array

    def path_to(self, targets: IntArray) -> PathDecisions:
        """The decisions on the path to one node per sample; shape (batch,)."""
        return PathDecisions(self._decisions_in_numpy, targets, self.layout)

    @cached_property
    def true_path(self) -> PathDecisions:
        """The decisions on the paths to the true classes."""
        return self.path_to(self.labels)

    @cached_property
    def answer_path(self) -> PathDecisions:
        """The decisions on the paths to the answers."""
        return self.path_to(self.answers)

    @cached_property
    def _decisions_in_numpy(self) -> Any:
        return self.decisions.cpu().numpy()

    def of_rows(self, rows: Tensor, rule: RuleName | None = None) -> Predictions:
        """Some of the samples (positions or a mask), by `rule` if given; known results are kept."""
        rows = rows.to(self.logits.device)
        places = rows.cpu()
        labels = None if self._labels is None else torch.from_numpy(self._labels)[places]
        some = Predictions(
            self.logits[rows],
            self.layout,
            score=self.score.name,
            rule=self.rule.name if rule is None else rule,
            temperature=self.temperature,
            labels=labels,
            indices=torch.from_numpy(self.indices)[places],
        )
        if "decisions" in self.__dict__:
            some.__dict__["decisions"] = self.decisions[rows]
        some._by_score = {name: found[rows] for name, found in self._by_score.items()}
        some._answers = {way: found[rows] for way, found in self._answers.items()}
        return some


class Rule(ABC):
    """How decisions become an answer.

    If it `ranks_classes`, the answer is the likeliest class. `averages_decisions` says whether its
    loss is the mean, not the sum, of the decisions on a path.
    """

    name: ClassVar[RuleName]
    ranks_classes: ClassVar[bool] = False
    averages_decisions: ClassVar[bool] = False

    @abstractmethod
    def answers(self, predictions: Predictions, score: ScoreName) -> Int[Tensor, " batch"]:
        """The class answered for each sample, with this score for its nodes."""


class _Soft(Rule):
    """The class with the largest product of the decisions on its path."""

    name = "soft"
    ranks_classes = True

    def answers(self, predictions: Predictions, score: ScoreName) -> Tensor:
        return predictions.log_probs_by(score).max(dim=-1).indices


class _Hard(Rule):
    """The class reached by taking the likeliest child at each node."""

    name = "hard"
    averages_decisions = True

    def answers(self, predictions: Predictions, score: ScoreName) -> Tensor:
        temperature, layout = predictions.temperature, predictions.layout
        return temperature.hard_predict(predictions.logits, layout, score)


RULES: Mapping[str, Rule] = {rule.name: rule for rule in (_Soft(), _Hard())}
"""All rules by name; the first is the default."""

RULE_SCORES: tuple[tuple[RuleName, ScoreName], ...] = tuple(
    (rule.name, score.name) for score in SCORES.values() for rule in RULES.values()
)
"""All ways to answer, in the order of tables."""


def get_rule(name: str) -> Rule:
    """The rule of this name."""
    return chosen("rule", name, RULES)


def keeps_network_answer(rule: RuleName, score: ScoreName) -> bool:
    """Whether every tree gives the network's own answer, unless single nodes have temperatures.

    Example:
        >>> keeps_network_answer("soft", "logsumexp"), keeps_network_answer("hard", "logsumexp")
        (True, False)
    """
    return get_rule(rule).ranks_classes and get_score(score).keeps_softmax
