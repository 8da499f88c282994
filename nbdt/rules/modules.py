"""The rules as modules: the index tensors of one tree as buffers, and a call to the functions."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import functional
from nbdt.rules.functional import SCORES, Score
from nbdt.rules.layout import TreeLayout


class _Rules(nn.Module):
    """A tree, a score, and no parameters; nothing of it enters a state dict."""

    def __init__(self, hierarchy: Hierarchy, score: Score = "logsumexp") -> None:
        super().__init__()
        if score not in SCORES:
            raise InputError(f"score is one of {', '.join(SCORES)}; got {score!r}.")
        self.score: Score = score
        self.layout = TreeLayout(hierarchy)

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree."""
        return self.layout.hierarchy

    def extra_repr(self) -> str:
        return f"score={self.score!r}"


class SoftRules(_Rules):
    """Logits to the log-probability of every class: the sum of the decisions on its path.

    Args:
        hierarchy: the tree.
        score: what a node is worth, ``"logsumexp"`` or ``"mean"``; see `nbdt.rules.functional`.

    Shape:
        logits (…, C) → log-probabilities (…, C); ``exp()`` of each row sums to 1.

    Example:
        >>> import torch
        >>> rules = SoftRules(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), score="mean")
        >>> rules(torch.tensor([[1.0, 1.0, 1.0]])).exp()
        tensor([[0.2500, 0.2500, 0.5000]])
    """

    def forward(self, logits: Float[Tensor, "*batch classes"]) -> Float[Tensor, "*batch classes"]:
        """See `nbdt.rules.functional.soft_log_probs`."""
        return functional.soft_log_probs(logits, self.layout, self.score)


class HardRules(_Rules):
    """Logits to the class reached by taking the likeliest child at each node.

    Args:
        hierarchy: the tree.
        score: what a node is worth, ``"logsumexp"`` or ``"mean"``; see `nbdt.rules.functional`.

    Shape:
        logits (…, C) → class indices (…).

    Example:
        >>> import torch
        >>> rules = HardRules(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]), score="mean")
        >>> rules(torch.tensor([[2.0, 4.0, 3.5]]))
        tensor([2])
    """

    def forward(self, logits: Float[Tensor, "*batch classes"]) -> Int[Tensor, "*batch"]:
        """See `nbdt.rules.functional.hard_predict`."""
        return functional.hard_predict(logits, self.layout, self.score)
