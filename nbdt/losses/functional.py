"""The tree's loss as pure functions on logits: of every class, and of given classes.

With p(leaf) the product of the decisions on its path and depth(y) their number,

- ``soft``: ℓ(y) = −log p(leaf y), the sum over y's path of the cross-entropy of each decision;
- ``hard``: ℓ(y) = −log p(leaf y) / depth(y), their mean.

Wan et al. (ICLR 2021), section 3.2, train with the first; the second weighs every class alike,
however deep it stands. Under the score ``logsumexp`` the first is cross-entropy itself.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.losses.paths import PathTable, path_losses
from nbdt.rules import RuleName, ScoreName, TreeLayout, get_rule, get_score, soft_log_probs
from nbdt.rules.functional import values_are_known

Compat = Literal["2020"]


class LossLayout(nn.Module):
    """The index tensors of a tree that its losses need, as buffers; none is in a state dict.

    `paths` is None if the tree has no such table; `depths`, of shape (C,), counts the decisions
    that lead to each class.
    """

    depths: Tensor
    paths: PathTable | None

    def __init__(self, hierarchy: Hierarchy) -> None:
        super().__init__()
        self.rules = TreeLayout(hierarchy)
        self.paths = PathTable(hierarchy) if PathTable.fits(hierarchy) else None
        depths = torch.tensor(hierarchy.depths[: hierarchy.num_classes])
        self.register_buffer("depths", depths, persistent=False)
        self.num_inner = len(hierarchy.inner)


def class_losses(
    logits: Float[Tensor, "*batch classes"],
    layout: LossLayout,
    rule: RuleName = "soft",
    score: ScoreName = "mean",
    compat: Compat | None = None,
) -> Float[Tensor, "*batch classes"]:
    """ℓ(y) of every class y, in nats, from logits of shape (…, C).

    Half types are computed in float32 and return float32. A masked class (a logit of −inf) has an
    infinite loss.

    With ``compat="2020"`` it gives the losses of the 2020 release: its soft loss is cross-entropy
    applied to the probabilities as if they were logits; its hard loss divides the sum over the path
    by half the number of inner nodes.

    Example:
        >>> layout = LossLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> class_losses(torch.tensor([1.0, 1.0, 1.0]), layout)
        tensor([1.3863, 1.3863, 0.6931])
        >>> class_losses(torch.tensor([1.0, 1.0, 1.0]), layout, rule="hard")
        tensor([0.6931, 0.6931, 0.6931])
    """
    check_kind(rule, score, compat)
    log_probs = soft_log_probs(logits, layout.rules, score)
    if not get_rule(rule).averages_decisions:
        return -(log_probs.exp().log_softmax(dim=-1) if compat else log_probs)
    return -log_probs / _decisions(layout, layout.depths, log_probs.dtype, compat)


def tree_losses(
    logits: Float[Tensor, "batch classes"],
    target: Int[Tensor, " batch"],
    layout: LossLayout,
    rule: RuleName = "soft",
    score: ScoreName = "mean",
    compat: Compat | None = None,
) -> Float[Tensor, " batch"]:
    """ℓ(y) of one class y per sample, in nats: `class_losses` at `target`, but faster.

    `target` holds class indices of shape (batch,), which are not checked.
    """
    check_kind(rule, score, compat)
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    return sample_losses(logits, target, layout, (rule, score, compat))


def sample_losses(
    logits: Float[Tensor, "batch classes"],
    target: Int[Tensor, " batch"],
    layout: LossLayout,
    kind: tuple[RuleName, ScoreName, Compat | None],
    tree_weight: float = 1.0,
    network_weight: float = 0.0,
) -> Float[Tensor, " batch"]:
    """tree_weight · ℓ(y) + network_weight · the network's cross-entropy, per sample, in nats.

    Logits are float32 or float64, of shape (batch, C). The class indices in `target` and the `kind`
    (rule, score and compat, as for `tree_losses`) are not checked.
    """
    rule, score, compat = kind
    averages, scored = get_rule(rule).averages_decisions, get_score(score)

    def by_rules(logits: Tensor) -> Tensor:
        every = class_losses(logits, layout, rule, score, compat)
        losses = tree_weight * every.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        if not network_weight:
            return losses
        return losses + network_weight * F.cross_entropy(logits, target, reduction="none")

    factor: float | Tensor = tree_weight
    if averages:
        depths = layout.depths.index_select(0, target)
        factor = tree_weight / _decisions(layout, depths, logits.dtype, compat)
    if averages or not compat:  # the 2020 soft loss is not a sum over a path
        # In a flat tree each node's score is its own logit, so the decision is the network's.
        if scored.keeps_softmax or layout.num_inner == 1:
            return F.cross_entropy(logits, target, reduction="none") * (factor + network_weight)
        if scored.is_linear and layout.paths is not None and _may_walk(logits):
            together = path_losses(logits, target, layout.paths, factor, network_weight, by_rules)
            if together is not None:
                return together
    return by_rules(logits)


def check_kind(rule: RuleName, score: ScoreName, compat: Compat | None) -> None:
    """Refuses a rule, score or compat that doesn't exist."""
    get_rule(rule)
    get_score(score)
    if compat not in (None, *get_args(Compat)):
        raise InputError(f"compat must be None or '2020', got {compat!r:.80}.")


def _may_walk(logits: Tensor) -> bool:
    # The sums need float64, which Apple's GPUs lack; on NVIDIA's their order, and so the last bits,
    # may differ between runs.
    device = logits.device.type
    varies = device == "cuda" and torch.are_deterministic_algorithms_enabled()
    return values_are_known(logits) and not varies and device != "mps"


def _decisions(
    layout: LossLayout, depths: Tensor, dtype: torch.dtype, compat: Compat | None
) -> Tensor | float:
    """What the hard loss divides the sum over a path by."""
    return layout.num_inner / 2 if compat else depths.to(dtype)
