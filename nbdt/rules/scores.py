"""How nodes are scored: one `Score` object per score, found by name in `SCORES`.

To add a score, write a subclass here and add an instance to `SCORES` and its name to `ScoreName`.
`Score.of_leaves` defines it; the other methods may be overridden by faster ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.errors import InputError
from nbdt.rules import bags, scan
from nbdt.rules.layout import TreeLayout

ScoreName = Literal["logsumexp", "mean"]

# Limits of the fast path: exp() of a wider range of logits loses precision in float32, and a
# float32 mean of larger logits is too coarse for probabilities to 1e-6.
MAX_EXP_RANGE = 80.0
MAX_MEAN_LOGIT = 40.0

T = TypeVar("T")


class Score(ABC):
    """How a node is scored, given the logits of its leaves.

    If `is_linear`, s(v) is the mean of the logits under v; with a linear last layer, every decision
    is then a hyperplane in feature space. If `keeps_softmax`, the product of the decisions on a
    path is the softmax of the logits, whatever the tree.
    """

    name: ClassVar[ScoreName]
    is_linear: ClassVar[bool] = False
    keeps_softmax: ClassVar[bool] = False

    @abstractmethod
    def of_leaves(self, logits: Float[Tensor, "*batch leaves"]) -> Float[Tensor, "*batch"]:
        """The score of one node from its leaves' logits: the definition."""

    def leaf_weights(
        self, logits: Float[Tensor, "*batch leaves"]
    ) -> Float[Tensor, "*batch leaves"]:
        """The gradient of `of_leaves`: what each leaf's logit adds to the node's score."""
        gradient: Tensor = torch.func.grad(lambda z: self.of_leaves(z).sum())(logits)
        return gradient

    def of_nodes(
        self, logits: Float[Tensor, "*batch classes"], layout: TreeLayout
    ) -> Float[Tensor, "*batch nodes"]:
        """The scores of all nodes by id, for logits of any size; also when compiled or exported."""
        tree = layout.hierarchy
        scores = [self.of_leaves(logits[..., list(tree.leaves(v))]) for v in range(len(tree))]
        return torch.stack(scores, dim=-1)

    def precise_log_probs(
        self, logits: Float[Tensor, "*batch classes"], layout: TreeLayout
    ) -> Float[Tensor, "*batch classes"]:
        """Soft log-probabilities of logits of any size, in their type."""
        scores = self.of_nodes(scan.widened(logits), layout)
        return scan.path_sums(scan.decisions(scores, layout), layout).to(logits.dtype)

    # The fast path of `nbdt.rules.bags`: for eager, finite logits that `suits_bags` accepts.

    def suits_bags(self, lowest: float, highest: float) -> bool:
        """Whether the fast path is precise for logits between these bounds."""
        return False

    def of_rows_(self, leaves: Tensor, layout: TreeLayout) -> Tensor:
        """Scores by row, (C, batch) → (nodes, batch); may lack `offset` and change `leaves`."""
        raise NotImplementedError

    def offset(self, logits: Float[Tensor, "batch classes"]) -> Tensor | None:
        """What `of_rows_` leaves out, which no decision depends on; shape (batch, 1)."""
        return None

    def fast_log_probs(
        self, logits: Float[Tensor, "batch classes"], layout: TreeLayout
    ) -> Float[Tensor, "batch classes"]:
        """Soft log-probabilities, differentiable."""
        return self.precise_log_probs(logits, layout)


class _LogSumExp(Score):
    """log Σ exp(z) over the leaves: the evidence for the group as a whole."""

    name = "logsumexp"
    keeps_softmax = True

    def of_leaves(self, logits: Tensor) -> Tensor:
        return logits.logsumexp(-1)

    def leaf_weights(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def of_nodes(self, logits: Tensor, layout: TreeLayout) -> Tensor:
        return scan.logsumexp_scores(logits, layout)

    def suits_bags(self, lowest: float, highest: float) -> bool:
        return highest - lowest <= MAX_EXP_RANGE

    def of_rows_(self, leaves: Tensor, layout: TreeLayout) -> Tensor:
        return bags.relative_logsumexp_scores_(leaves, layout)

    def offset(self, logits: Tensor) -> Tensor | None:
        return logits.amax(-1, keepdim=True)


class _Mean(Score):
    """The mean of z over the leaves that are not masked; Wan et al. (ICLR 2021), section 3.1."""

    name = "mean"
    is_linear = True

    def of_leaves(self, logits: Tensor) -> Tensor:
        masked = torch.isneginf(logits)
        count = (~masked).sum(-1)
        mean = logits.masked_fill(masked, 0).sum(-1) / count.clamp_min(1)
        return mean.masked_fill(count == 0, -torch.inf)

    def leaf_weights(self, logits: Tensor) -> Tensor:
        kept = ~torch.isneginf(logits)
        return kept.to(logits.dtype) / kept.sum(-1, keepdim=True).clamp_min(1)

    def of_nodes(self, logits: Tensor, layout: TreeLayout) -> Tensor:
        return scan.mean_scores(logits, layout)

    def suits_bags(self, lowest: float, highest: float) -> bool:
        return max(-lowest, highest) <= MAX_MEAN_LOGIT

    def of_rows_(self, leaves: Tensor, layout: TreeLayout) -> Tensor:
        return bags.mean_scores(leaves, layout)

    def fast_log_probs(self, logits: Tensor, layout: TreeLayout) -> Tensor:
        return bags.soft_mean(logits, layout)


SCORES: Mapping[str, Score] = {score.name: score for score in (_LogSumExp(), _Mean())}
"""All scores by name; the first is the default."""


def get_score(name: str) -> Score:
    """The score of this name."""
    return chosen("score", name, SCORES)


def chosen(kind: str, name: object, options: Mapping[str, T]) -> T:
    """The option of this name; if there is none, an error that lists all."""
    if not isinstance(name, str) or name not in options:
        raise InputError(f"{kind} must be {' or '.join(map(repr, options))}, got {name!r:.80}.")
    return options[name]
