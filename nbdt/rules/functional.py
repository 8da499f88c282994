"""The rules as pure functions on logits, and as modules that hold a tree and call them.

Every function takes logits of any leading shape and a `TreeLayout` on the same device. Half types
are computed in float32 and return float32; float64 stays. Masked classes (logits of −inf) have
probability 0 and don't count in a `mean`; each sample needs one class that isn't masked. Rows with
NaN give NaN.

Scores of a node v with the leaves L(v); see `nbdt.rules.scores`:

- ``mean``: s(v) = mean of z over L(v); Wan et al. (ICLR 2021), section 3.1.
- ``logsumexp``: s(v) = log Σ exp(z) over L(v). The product of the decisions on a path is then the
  network's own softmax.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import bags, scan
from nbdt.rules.checks import wide_logits
from nbdt.rules.layout import TreeLayout
from nbdt.rules.scores import Score, ScoreName, get_score


def node_scores(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: ScoreName = "logsumexp"
) -> Float[Tensor, "*batch nodes"]:
    """The score of every node, by node id."""
    logits, kind = _checked(logits, layout, score)
    if logits.requires_grad or not _suits_bags(logits, layout, kind):
        return kind.of_nodes(scan.widened(logits), layout).to(logits.dtype)
    flat = logits.reshape(-1, layout.num_classes)
    rows = kind.of_rows_(bags.to_rows(flat, pad=True), layout).index_select(0, layout.node_row)
    scores = bags.to_samples(rows, len(flat))
    offset = kind.offset(flat)
    if offset is not None:
        scores += offset
    return scores.view(*logits.shape[:-1], layout.num_nodes)


def decision_log_probs(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: ScoreName = "logsumexp"
) -> Float[Tensor, "*batch nodes"]:
    """The log-probability of every node given its parent, by node id; 0 at the root.

    The decision at a node is the softmax of its children's scores.

    Example:
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> decision_log_probs(torch.tensor([1.0, 1.0, 1.0]), layout, "mean").exp()
        tensor([0.5000, 0.5000, 0.5000, 0.5000, 1.0000])
    """
    logits, kind = _checked(logits, layout, score)
    if logits.requires_grad or not _suits_bags(logits, layout, kind):
        scores = kind.of_nodes(scan.widened(logits), layout)
        return scan.decisions(scores, layout).to(logits.dtype)
    flat = logits.reshape(-1, layout.num_classes)
    rows = kind.of_rows_(bags.to_rows(flat, pad=True), layout)
    bags.decide_(rows, layout)
    rows[-1] = 0
    samples = bags.to_samples(rows.index_select(0, layout.node_row), len(flat))
    return samples.view(*logits.shape[:-1], layout.num_nodes)


def soft_log_probs(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: ScoreName = "logsumexp"
) -> Float[Tensor, "*batch classes"]:
    """The log-probability of every class: the sum of the decisions on its path.

    Under ``logsumexp`` this is `torch.log_softmax` of the logits, whatever the tree.

    Example:
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> soft_log_probs(torch.tensor([[1.0, 1.0, 1.0]]), layout, "mean").exp()
        tensor([[0.2500, 0.2500, 0.5000]])
    """
    logits, kind = _checked(logits, layout, score)
    if kind.keeps_softmax:
        return logits.log_softmax(dim=-1)
    if not _suits_bags(logits, layout, kind):
        return kind.precise_log_probs(logits, layout)
    flat = logits.reshape(-1, layout.num_classes)
    return kind.fast_log_probs(flat, layout).view(logits.shape)


def hard_predict(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: ScoreName = "logsumexp"
) -> Int[Tensor, "*batch"]:
    """The class reached by taking the likeliest child at each node; ties go to the lower id."""
    logits, kind = _checked(logits, layout, score)
    logits = logits.detach()
    if not _suits_bags(logits, layout, kind):
        return scan.greedy_leaves(kind.of_nodes(scan.widened(logits), layout), layout)
    flat = logits.reshape(-1, layout.num_classes)
    leaves = bags.greedy_leaves_(kind.of_rows_(bags.to_rows(flat), layout), layout)
    return leaves.view(logits.shape[:-1])


def _checked(logits: Tensor, layout: TreeLayout, score: ScoreName) -> tuple[Tensor, Score]:
    kind = get_score(score)
    if not isinstance(layout, TreeLayout):
        raise InputError(f"layout must be a TreeLayout; got {type(layout).__name__}.")
    return wide_logits(logits, layout.num_classes), kind


def _suits_bags(logits: Tensor, layout: TreeLayout, score: Score) -> bool:
    """Whether the fast path is precise: finite logits of moderate size, in eager mode."""
    if not values_are_known(logits) or not layout.has_paths:
        return False
    return score.suits_bags(*torch.stack(logits.detach().aminmax()).tolist())


def values_are_known(logits: Tensor) -> bool:
    """Whether a branch may depend on the values of the logits.

    It may not while torch compiles, exports or transforms a function, or on the meta device.
    """
    if torch.compiler.is_compiling() or logits.is_meta or not logits.numel():
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(logits)


class _Rules(nn.Module):
    def __init__(self, hierarchy: Hierarchy, score: ScoreName = "logsumexp") -> None:
        super().__init__()
        self.score: ScoreName = get_score(score).name
        self.layout = TreeLayout(hierarchy)

    @property
    def hierarchy(self) -> Hierarchy:
        return self.layout.hierarchy

    def extra_repr(self) -> str:
        return f"score={self.score!r}"


class SoftRules(_Rules):
    """`soft_log_probs` as a module: logits (…, C) → log-probabilities (…, C)."""

    def forward(self, logits: Float[Tensor, "*batch classes"]) -> Float[Tensor, "*batch classes"]:
        """See `soft_log_probs`."""
        return soft_log_probs(logits, self.layout, self.score)


class HardRules(_Rules):
    """`hard_predict` as a module: logits (…, C) → class indices (…)."""

    def forward(self, logits: Float[Tensor, "*batch classes"]) -> Int[Tensor, "*batch"]:
        """See `hard_predict`."""
        return hard_predict(logits, self.layout, self.score)
