"""−log p(leaf y) under the score `mean`, from the decisions on y's path alone.

At each step of the path, with the node taken v and its siblings u,

    −log p(v | parent) = log(1 + Σ_u exp(s(u) − s(v))).

The classes under a node are neighbours in the leaf order, so that one running sum over the logits
gives every mean that is needed as a difference of two of its entries; the gradient likewise is a
running sum of jumps at the borders. Both are in float64, where a difference of running sums is
still exact enough. Each sample costs O(C + siblings on its path), forward and backward.

Finite logits only; `nbdt.rules` handles masked classes and everything else.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.validation import IntArray

# The table has a row a class, as wide as the longest. Trees that would need more entries a node
# than this (near-chains; hundreds of siblings) are left to the rules, so memory stays linear.
MAX_ENTRIES_PER_NODE = 128


class PathTable(nn.Module):
    """Where the groups on each class's path begin and end in the running sums, as buffers.

    An entry is a group of classes: first the siblings on the class's path, then the nodes taken.
    Rows with fewer entries than the longest are filled up, siblings with the empty group (whose
    score is −∞), nodes with the root (whose loss is 0, as it has no siblings).

    Attributes:
        order: the classes in leaf order, with a column before and one behind; shape (C + 2,).
        place: each class's place in that order; shape (C,).
        borders: where the groups stop, then where they start; shape (C, 2 · entries).
        steps: which of the nodes taken each sibling belongs to; shape (C, siblings), or (C, 0)
            where the i-th sibling is that of the i-th node, as it always is in a binary tree.
        num_siblings: how many of the entries are siblings.
    """

    order: Tensor
    place: Tensor
    borders: Tensor
    steps: Tensor

    def __init__(self, hierarchy: Hierarchy) -> None:
        super().__init__()
        siblings, steps, taken = _entries(hierarchy)
        self.num_siblings = siblings.shape[1]
        binary = len(hierarchy) == 2 * hierarchy.num_classes - 1
        entries = np.concatenate([siblings, taken], axis=1)
        num_classes = hierarchy.num_classes
        # The empty group, with the id after the root's, ends in a column that holds −∞.
        start = np.append(hierarchy.leaf_start, 0)
        stop = np.append(hierarchy.leaf_start + hierarchy.sizes, num_classes + 1)
        borders = np.concatenate([stop[entries], start[entries]], axis=1)
        self._keep("order", np.pad(hierarchy.leaf_order, 1), torch.int64)
        self._keep("place", np.argsort(hierarchy.leaf_order), torch.int64)
        self._keep("borders", borders, torch.int32)
        self._keep("steps", steps[:, :0] if binary else steps, torch.int32)

    def _keep(self, name: str, values: IntArray, dtype: torch.dtype) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=dtype), persistent=False)

    @staticmethod
    def fits(hierarchy: Hierarchy) -> bool:
        """Whether the table of this tree is of an acceptable size."""
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
    nodes = np.arange(len(tree) - 1)
    above = nodes
    while len(nodes):
        parents = tree.parents[above]
        counts[nodes] += arity[parents] - 1
        going_on = parents != tree.root
        nodes, above = nodes[going_on], parents[going_on]
    return counts


def _entries(tree: Hierarchy) -> tuple[IntArray, IntArray, IntArray]:
    """The siblings on each class's path, the step each is met at, and the nodes taken.

    Steps count from the class upwards. Shapes (C, siblings), (C, siblings), (C, depth).
    """
    num_classes, root = tree.num_classes, tree.root
    family = np.argsort(tree.parents[:-1], kind="stable")  # the children of each node in a row
    arity = np.bincount(tree.parents[:-1], minlength=len(tree))
    first = np.cumsum(arity) - arity
    rank = np.empty(len(tree), dtype=np.int64)
    rank[family] = np.arange(len(family)) - np.repeat(first, arity)

    longest = int(tree.depths.max())
    siblings = np.full((num_classes, int(_siblings_above(tree)[:num_classes].max())), len(tree))
    steps = np.zeros_like(siblings)
    taken = np.full((num_classes, longest), root)
    filled = np.zeros(num_classes, dtype=np.int64)
    classes = nodes = np.arange(num_classes)
    for step in range(longest):
        taken[classes, step] = nodes
        parents = tree.parents[nodes]
        others = arity[parents] - 1
        row = np.repeat(np.arange(len(classes)), others)
        number = np.arange(len(row)) - np.repeat(np.cumsum(others) - others, others)
        child = number + (number >= rank[nodes][row])  # all but the node itself
        column = filled[classes][row] + number
        siblings[classes[row], column] = family[first[parents][row] + child]
        steps[classes[row], column] = step
        filled[classes] += others
        going_on = parents != root
        classes, nodes = classes[going_on], parents[going_on]
    return siblings, steps, taken


class _Walk(NamedTuple):
    """The losses, and what their gradient is made of."""

    losses: Tensor  # (batch,), float64
    borders: Tensor  # (batch, 2 · entries)
    slopes: Tensor  # (batch, entries): of the loss, over each of the group's logits
    in_range: bool


def path_losses(
    logits: Float[Tensor, "batch classes"], target: Int[Tensor, " batch"], table: PathTable
) -> Float[Tensor, " batch"] | None:
    """−log p(target) in nats, or None where the logits are not finite or too far apart."""
    walk = _walk(logits.detach(), target, table)
    if not walk.in_range:
        return None
    losses: Tensor = _PathLosses.apply(logits, walk, table)
    return losses


def _walk(logits: Tensor, target: Tensor, table: PathTable) -> _Walk:
    ordered = logits.index_select(1, table.order)
    ordered.select(1, 0).fill_(0)
    ordered.select(1, -1).fill_(-torch.inf)
    sums = ordered.cumsum(1, dtype=torch.float64)

    borders = table.borders.index_select(0, target).long()
    entries = borders.shape[1] // 2
    sizes = (borders[:, :entries] - borders[:, entries:]).double()
    at_borders = sums.gather(1, borders)
    scores = (at_borders[:, :entries] - at_borders[:, entries:]).div_(sizes)
    siblings, taken = scores[:, : table.num_siblings], scores[:, table.num_siblings :]
    # exp() may overflow here: logits that far apart are left to the rules.
    if table.steps.shape[1] == 0:
        odds = total = (siblings - taken).exp_()
        shares = odds / (1 + total)
        lost = shares
    else:
        steps = table.steps.index_select(0, target).long()
        odds = (siblings - taken.gather(1, steps)).exp_()
        total = torch.zeros_like(taken).scatter_add_(1, steps, odds)
        shares = odds / (1 + total).gather(1, steps)
        lost = total / (1 + total)
    losses = total.log1p().sum(1)
    slopes = torch.cat([shares, -lost], dim=1).div_(sizes)
    # Neither may be infinite or NaN: the losses, nor any logit and so any sample's last sum.
    return _Walk(losses, borders, slopes, math.isfinite((losses + sums[:, -2]).sum().item()))


class _PathLosses(torch.autograd.Function):
    """The losses of a walk that was done, and their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, walk: _Walk, table: PathTable) -> Tensor:
        ctx.table, ctx.shape, ctx.dtype = table, logits.shape, logits.dtype
        ctx.save_for_backward(walk.borders, walk.slopes)
        return walk.losses.to(logits.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        borders, slopes = ctx.saved_tensors
        batch, num_classes = ctx.shape
        slopes = slopes * grad.unsqueeze(1)
        grads = slopes.new_zeros(batch, num_classes + 2)
        grads.scatter_add_(1, borders, torch.cat([-slopes, slopes], dim=1))
        torch.cumsum(grads, 1, out=grads)
        return grads.to(ctx.dtype).index_select(1, ctx.table.place), None, None
