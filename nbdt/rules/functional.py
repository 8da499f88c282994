"""The rules as pure functions on logits: scores of nodes, decisions, soft and hard answers.

Every function takes logits of any leading shape and a `TreeLayout` on the same device. Half types
are computed in, and give, float32; float64 stays. Masked classes (logits of −inf) are allowed as
long as one class of each sample is not: they have probability 0 and no part in a `mean`. Rows
with NaN give NaN.

Scores, for a node v with the leaves L(v):

- ``mean``: s(v) = mean of z over L(v); Wan et al. (ICLR 2021), section 3.1.
- ``logsumexp``: s(v) = log Σ exp(z) over L(v). The product of the decisions on a path is then the
  network's own softmax.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.errors import InputError
from nbdt.rules import bags, scan
from nbdt.rules.layout import TreeLayout

Score = Literal["mean", "logsumexp"]
Rule = Literal["soft", "hard"]
SCORES: tuple[Score, ...] = get_args(Score)
RULES: tuple[Rule, ...] = get_args(Rule)

# What the fast way takes. exp() of a wider range of logits leaves what float32 holds at full
# precision; and a float32 mean of larger logits is too coarse for probabilities to 1e-6.
MAX_EXP_RANGE = 80.0
MAX_MEAN_LOGIT = 40.0


def node_scores(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: Score = "logsumexp"
) -> Float[Tensor, "*batch nodes"]:
    """What every node is worth, by node id: the mean or the log-sum-exp of its leaves' logits.

    Raises:
        InputError: the last dimension is not the number of classes, the logits are no floating
            point numbers, or the score is unknown.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> node_scores(torch.tensor([2.0, 4.0, 0.0]), layout, "mean")
        tensor([2., 4., 0., 3., 2.])
    """
    logits = _checked(logits, layout, score)
    if logits.requires_grad or not _ordinary(logits, layout, score):
        return _scan_scores(logits, layout, score).to(logits.dtype)
    flat = logits.reshape(-1, layout.num_classes)
    rows = _bag_scores_(bags.to_rows(flat, pad=True), layout, score).index_select(
        0, layout.node_row
    )
    scores = bags.to_samples(rows, len(flat))
    if score == "logsumexp":
        scores += flat.amax(-1, keepdim=True)
    return scores.view(*logits.shape[:-1], layout.num_nodes)


def decision_log_probs(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: Score = "logsumexp"
) -> Float[Tensor, "*batch nodes"]:
    """The log-probability of every node given its parent, by node id; 0 at the root.

    The decision at a node is the softmax over its children of their scores.

    Raises:
        InputError: as `node_scores`.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> decision_log_probs(torch.tensor([1.0, 1.0, 1.0]), layout, "mean").exp()
        tensor([0.5000, 0.5000, 0.5000, 0.5000, 1.0000])
    """
    logits = _checked(logits, layout, score)
    if logits.requires_grad or not _ordinary(logits, layout, score):
        return scan.decisions(_scan_scores(logits, layout, score), layout).to(logits.dtype)
    flat = logits.reshape(-1, layout.num_classes)
    rows = _bag_scores_(bags.to_rows(flat, pad=True), layout, score)
    bags.decide_(rows, layout)
    rows[-1] = 0
    samples = bags.to_samples(rows.index_select(0, layout.node_row), len(flat))
    return samples.view(*logits.shape[:-1], layout.num_nodes)


def soft_log_probs(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: Score = "logsumexp"
) -> Float[Tensor, "*batch classes"]:
    """The log-probability of every class: the sum of the decisions on its path.

    Under ``logsumexp`` this is `torch.log_softmax` of the logits, whatever the tree.

    Raises:
        InputError: as `node_scores`.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> soft_log_probs(torch.tensor([[1.0, 1.0, 1.0]]), layout, "mean").exp()
        tensor([[0.2500, 0.2500, 0.5000]])
    """
    logits = _checked(logits, layout, score)
    if score == "logsumexp":
        return logits.log_softmax(dim=-1)
    if not _ordinary(logits, layout, score):
        return scan.soft_mean(logits, layout)
    flat = logits.reshape(-1, layout.num_classes)
    return bags.soft_mean(flat, layout).view(logits.shape)


def hard_predict(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout, score: Score = "logsumexp"
) -> Int[Tensor, "*batch"]:
    """The class reached by taking the likeliest child at each node; ties go to the lower id.

    Raises:
        InputError: as `node_scores`.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> hard_predict(torch.tensor([[2.0, 4.0, 3.5]]), layout, "mean")
        tensor([2])
    """
    logits = _checked(logits, layout, score).detach()
    if not _ordinary(logits, layout, score):
        return scan.greedy_leaves(_scan_scores(logits, layout, score), layout)
    flat = logits.reshape(-1, layout.num_classes)
    leaves = bags.greedy_leaves_(_bag_scores_(bags.to_rows(flat), layout, score), layout)
    return leaves.view(logits.shape[:-1])


def _checked(logits: Tensor, layout: TreeLayout, score: Score) -> Tensor:
    """The logits in float32 or float64."""
    if score not in SCORES:
        raise InputError(f"score is one of {', '.join(SCORES)}; got {score!r}.")
    if not isinstance(layout, TreeLayout):
        raise InputError(f"layout has to be a TreeLayout; got {type(layout).__name__}.")
    if not isinstance(logits, Tensor):
        raise InputError(f"logits have to be a torch tensor; got {type(logits).__name__}.")
    if logits.ndim == 0 or logits.shape[-1] != layout.num_classes:
        raise InputError(
            f"the tree has {layout.num_classes} classes, so logits have to be of shape "
            f"(…, {layout.num_classes}); got {tuple(logits.shape)}."
        )
    if not logits.is_floating_point():
        raise InputError(f"logits have to be floating point numbers; got {logits.dtype}.")
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def _ordinary(logits: Tensor, layout: TreeLayout, score: Score) -> bool:
    """Whether the fast way is precise: finite logits of a moderate size, in eager mode."""
    if not values_are_known(logits) or not layout.has_paths:
        return False
    lowest, highest = torch.stack(logits.detach().aminmax()).tolist()
    if score == "logsumexp":
        return bool(highest - lowest <= MAX_EXP_RANGE)
    return bool(max(-lowest, highest) <= MAX_MEAN_LOGIT)


def values_are_known(logits: Tensor) -> bool:
    """Whether a branch may depend on what the logits are.

    It may not while torch compiles, exports or transforms a function (`torch.func`), nor on the
    meta device; and nothing can be said of no logits at all.
    """
    if torch.compiler.is_compiling() or logits.is_meta or not logits.numel():
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(logits)


def _scan_scores(logits: Tensor, layout: TreeLayout, score: Score) -> Tensor:
    """Scores in float64: logits of any size then decide as finely as they were given."""
    scores = scan.mean_scores if score == "mean" else scan.logsumexp_scores
    return scores(scan.widened(logits), layout)


def _bag_scores_(leaves: Tensor, layout: TreeLayout, score: Score) -> Tensor:
    """Scores by row; those of ``logsumexp`` lack the sample's highest logit."""
    kinds = {"mean": bags.mean_scores, "logsumexp": bags.relative_logsumexp_scores_}
    return kinds[score](leaves, layout)
