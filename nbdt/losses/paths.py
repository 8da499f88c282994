"""The loss of a sample under the score `mean`, from the decisions on its class's path alone.

At each step of the path to class y, with the node taken v and its siblings u,

    −log p(v | parent) = log(1 + Σ_u exp(s(u) − s(v))),

and −log p(leaf y) is the sum of these. The class itself and the siblings on its path partition the
classes into groups, and the logit sums of these groups are all that is needed: a node's sum on the
path is the running sum of the groups up to it. Each sample costs O(C + siblings on its path),
forward and backward.

Finite logits only; `nbdt.rules` handles masked classes and everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules.paths import climb

# The table has one row per class, as wide as the longest path. Trees that need more entries per
# node than this (near-chains, hundreds of siblings) are left to the rules: memory stays linear.
MAX_ENTRIES_PER_NODE = 128
# Up to this many classes, a byte or two for each pair is little.
MAX_PAIRED_CLASSES = 4096
# Neighboring classes are mostly in one group. Adding them to several numbers in turn, not one,
# avoids waiting for each other, and float32 loses less.
LANES, MANY_LANES = 8, 64


class Groups(nn.Module):
    """Sums of logits over each path's own groups of classes, and the transpose.

    The groups of a path contain each class once: the classes under the nodes in a row of `groups`,
    shape (C, groups), where -1 is an empty group. A class's group is stored for all pairs of
    classes, or, for many classes, computed from where groups begin in the leaf order.
    """

    lanes: Tensor
    place: Tensor
    starts: Tensor
    jumps: Tensor

    def __init__(self, hierarchy: Hierarchy, groups: IntArray) -> None:
        super().__init__()
        num_classes, self.count = groups.shape
        self.is_paired = num_classes <= MAX_PAIRED_CLASSES
        starts = np.append(hierarchy.leaf_start, num_classes)[groups]  # empty groups come last
        order = np.argsort(starts, axis=1, kind="stable")
        starts = np.take_along_axis(starts, order, axis=1)
        place = np.argsort(hierarchy.leaf_order)
        self.width = LANES if self.is_paired else MANY_LANES
        lane = np.arange(num_classes) % self.width
        if self.is_paired:
            sizes = np.diff(starts, axis=1, append=num_classes)
            group = np.repeat(order.ravel(), sizes.ravel()).reshape(num_classes, num_classes)
            dtype = torch.uint8 if self.count * self.width <= 256 else torch.int16
            self._keep(
                "lanes", torch.tensor(group.take(place, axis=1) * self.width + lane, dtype=dtype)
            )
        else:
            self._keep("lanes", torch.tensor(lane))
            self._keep("place", torch.tensor(place))
            self._keep("starts", torch.tensor(starts, dtype=torch.int32))
            jumps = np.diff(order, axis=1, prepend=0) * self.width
            self._keep("jumps", torch.tensor(jumps, dtype=torch.int32))

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def index(self, target: Int[Tensor, " batch"]) -> Int[Tensor, "batch classes"]:
        """What `sums` and `spread` need to know of the paths to these classes."""
        if self.is_paired:
            return self.lanes.index_select(0, target).long()
        # In leaf order the group changes where the next one starts; float32 holds these numbers.
        starts = self.starts.index_select(0, target).long()
        jumps = self.jumps.index_select(0, target).float()
        groups = jumps.new_zeros(len(target), len(self.place) + 1).scatter_add_(1, starts, jumps)
        return groups.cumsum(1).index_select(1, self.place).add_(self.lanes).long()

    def sums(
        self, logits: Float[Tensor, "batch classes"], index: Tensor
    ) -> Float[Tensor, "batch groups"]:
        """The sum of the logits over each group, in float64."""
        lanes = logits.new_zeros(len(logits), self.count * self.width).scatter_add_(
            1, index, logits
        )
        return lanes.view(-1, self.count, self.width).sum(2, dtype=torch.float64)

    def spread(
        self, values: Float[Tensor, "batch groups"], index: Tensor, dtype: torch.dtype
    ) -> Float[Tensor, "batch classes"]:
        """The value of each class's group, in this type."""
        lanes = values.to(dtype).unsqueeze(2).expand(-1, -1, self.width)
        return lanes.reshape(len(values), -1).gather(1, index)


class PathTable(nn.Module):
    """What the path to each class consists of, as buffers.

    A row is a class. Its columns are the class itself and the siblings on its path, from the class
    upward, padded with the empty group (whose score is −∞).

    Attributes:
        groups: the sums over these columns.
        factors: one over the size of each column's group; the group's score without its logits, 0
            or −∞; one over the size of the node taken at each step. Float64 stored as its bits,
            because `Module.half()` would round it.
        steps: the step of each column, then the last column below each step; empty if every column
            is its own step, as in a binary tree.
        count: how many columns there are.
    """

    factors: Tensor
    steps: Tensor

    def __init__(self, hierarchy: Hierarchy) -> None:
        super().__init__()
        columns, steps, taken, last_below = _entries(hierarchy)
        num_classes, self.count = columns.shape
        self.groups = Groups(hierarchy, columns)
        binary = len(hierarchy) == 2 * num_classes - 1
        if binary:
            taken = np.pad(taken, ((0, 0), (1, 0)), constant_values=-1)
        bases = np.where(columns < 0, -np.inf, 0.0)
        bases[:, 0] = -np.inf  # the class is not a sibling of itself
        factors = [_one_over_sizes(hierarchy, columns), bases, _one_over_sizes(hierarchy, taken)]
        bits = torch.tensor(np.concatenate(factors, axis=1)).view(torch.int64)
        self.register_buffer("factors", bits, persistent=False)
        both = np.concatenate([steps, last_below], axis=1)[:, : 0 if binary else None]
        self.register_buffer("steps", torch.tensor(both, dtype=torch.int32), persistent=False)

    @staticmethod
    def fits(hierarchy: Hierarchy) -> bool:
        """Whether this tree's table has an acceptable size."""
        num_classes, limit = hierarchy.num_classes, MAX_ENTRIES_PER_NODE * len(hierarchy)
        depths = hierarchy.depths[:num_classes]
        if num_classes * int(depths.max()) > limit:
            return False
        widest = int(_siblings_above(hierarchy)[:num_classes].max())
        return num_classes * (widest + int(depths.max())) <= limit


def _siblings_above(tree: Hierarchy) -> IntArray:
    """How many siblings the nodes on each node's path have, its own included; shape (nodes,)."""
    arity = np.bincount(tree.parents[:-1], minlength=len(tree))
    counts = np.zeros(len(tree), dtype=np.int64)
    for nodes, above in climb(tree, np.arange(len(tree))):
        counts[nodes] += arity[tree.parents[above]] - 1
    return counts


def _one_over_sizes(tree: Hierarchy, nodes: IntArray) -> FloatArray:
    """One over the number of classes under each node; 0 for node -1."""
    inverse: FloatArray = np.append(1 / tree.sizes, 0.0)[nodes]
    return inverse


def _entries(tree: Hierarchy) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The path to each class: its columns, their steps, the nodes taken, the last column below.

    Steps count from the class upward; padding is node -1. Shapes (C, columns), (C, columns), (C,
    steps), (C, steps).
    """
    num_classes = tree.num_classes
    family = np.argsort(tree.parents[:-1], kind="stable")  # the children of each node in a row
    arity = np.bincount(tree.parents[:-1], minlength=len(tree))
    first = np.cumsum(arity) - arity
    rank = np.empty(len(tree), dtype=np.int64)
    rank[family] = np.arange(len(family)) - np.repeat(first, arity)

    longest = int(tree.depths.max())
    widest = 1 + int(_siblings_above(tree)[:num_classes].max())
    columns = np.full((num_classes, widest), -1)
    steps = np.zeros_like(columns)
    taken = np.full((num_classes, longest), -1)
    last_below = np.zeros_like(taken)
    columns[:, 0] = np.arange(num_classes)
    filled = np.ones(num_classes, dtype=np.int64)
    for step, (classes, nodes) in enumerate(climb(tree, columns[:, 0].copy())):
        taken[classes, step] = nodes
        last_below[classes, step] = filled[classes] - 1
        parents = tree.parents[nodes]
        others = arity[parents] - 1
        row = np.repeat(np.arange(len(classes)), others)
        number = np.arange(len(row)) - np.repeat(np.cumsum(others) - others, others)
        child = number + (number >= rank[nodes][row])  # all but the node itself
        column = filled[classes][row] + number
        columns[classes[row], column] = family[first[parents][row] + child]
        steps[classes[row], column] = step
        filled[classes] += others
    return columns, steps, taken, last_below


class _Walk(NamedTuple):
    losses: Tensor  # (batch,), float64
    slopes: Tensor  # (batch, columns), float64: of the loss, over each of the group's logits
    in_range: bool


def path_losses(
    logits: Float[Tensor, "batch classes"],
    target: Int[Tensor, " batch"],
    table: PathTable,
    tree_weight: float | Float[Tensor, " batch"] = 1.0,
    network_weight: float = 0.0,
    by_rules: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, " batch"] | None:
    """tree_weight · −log p(target) + network_weight · the network's cross-entropy, in nats.

    None if the logits are not finite or too far apart. `by_rules` gives the same losses in
    operations that torch can differentiate twice, for second derivatives.
    """
    index = table.groups.index(target)
    detached = logits.detach()
    walk = _walk(table.groups.sums(detached, index), target, table)
    if not walk.in_range:
        return None
    log_probs = detached.log_softmax(1) if network_weight else None
    losses: Tensor = _PathLosses.apply(
        logits, target, walk, index, table.groups, log_probs, tree_weight, network_weight, by_rules
    )
    return losses


def _walk(sums: Tensor, target: Tensor, table: PathTable) -> _Walk:
    count = table.count
    factors = table.factors.view(torch.float64).index_select(0, target)
    of_group, base, of_taken = factors.tensor_split((count, 2 * count), dim=1)
    up_to = sums.cumsum(1)
    scores = torch.addcmul(base, sums, of_group)
    if table.steps.shape[1] == 0:
        lead = scores - up_to.roll(1, 1) * of_taken
        losses = F.softplus(lead, threshold=40).sum(1)
        shares = lead.sigmoid_()
        # How much the logits under the nodes taken up to each step lower the loss. A column is
        # only under the nodes of later steps: the total minus the sum up to its own.
        fallen = (shares * of_taken).cumsum_(1)
        slopes = torch.addcmul(fallen, shares, of_group).sub_(fallen[:, -1:])
    else:
        steps, last_below = table.steps.index_select(0, target).long().tensor_split((count,), dim=1)
        taken = up_to.gather(1, last_below) * of_taken
        # exp() may overflow here: logits that far apart are left to the rules.
        odds = (scores - taken.gather(1, steps)).exp_()
        total = torch.zeros_like(taken).scatter_add_(1, steps, odds)
        losses = total.log1p().sum(1)
        shares = odds / (1 + total).gather(1, steps)
        fallen = (total / (1 + total) * of_taken).cumsum_(1)
        slopes = torch.addcmul(fallen.gather(1, steps), shares, of_group).sub_(fallen[:, -1:])
        slopes[:, 0] = -fallen[:, -1]  # the class itself is under all of them
    # Neither may be infinite or NaN: the losses, nor any logit and so any sample's sum of all.
    return _Walk(losses, slopes, math.isfinite((losses + up_to[:, -1]).sum().item()))


class _PathLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        target: Tensor,
        walk: _Walk,
        index: Tensor,
        groups: Groups,
        log_probs: Tensor | None,
        tree_weight: float | Tensor,
        network_weight: float,
        by_rules: Callable[[Tensor], Tensor] | None,
    ) -> Tensor:
        ctx.groups, ctx.by_rules = groups, by_rules
        ctx.tree_weight, ctx.network_weight = tree_weight, network_weight
        ctx.save_for_backward(logits, walk.slopes, index, log_probs)
        losses = (walk.losses * tree_weight).to(logits.dtype)
        if log_probs is None:
            return losses
        own = log_probs.gather(1, target.unsqueeze(1)).squeeze(1)
        return losses.sub_(own, alpha=network_weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        logits, slopes, index, log_probs = ctx.saved_tensors
        others = (None,) * 8
        if torch.is_grad_enabled():
            again = ctx.by_rules(logits)
            return torch.autograd.grad(again, logits, grad, create_graph=True)[0], *others
        values = slopes * (grad * ctx.tree_weight).unsqueeze(1)
        if log_probs is not None:
            values[:, 0] -= ctx.network_weight * grad
        grads = ctx.groups.spread(values, index, logits.dtype)
        if log_probs is not None:
            grads.addcmul_(log_probs.exp(), grad.unsqueeze(1), value=ctx.network_weight)
        return grads, *others
