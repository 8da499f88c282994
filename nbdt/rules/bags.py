"""The rules as sums over listed rows: the fast path for ordinary logits and trees.

Nodes are rows and samples are columns, so "add up the leaves under a node" and "add up the
decisions on a leaf's path" are sums of whole rows (an embedding bag), which run at memory speed.
Finite logits only: `nbdt.rules.scan` handles masked classes and everything else.

Functions whose names end in an underscore change their argument, so that predictions never hold two
tensors of all nodes at once: a C library that returns freed memory to the system pays more in page
faults at the next call than all the arithmetic costs.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.rules import scan
from nbdt.rules.layout import Siblings, TreeLayout

# With a row stride of a power of two, the entries of a column share a few cache sets, and the
# transposition back takes twice as long, so a few columns are added.
AWKWARD_STRIDE = 256
PADDING = 16


def to_rows(
    samples: Float[Tensor, "batch columns"], *, pad: bool = False
) -> Float[Tensor, "columns padded"]:
    """A transposed, contiguous copy; `pad` it if it will be transposed back."""
    batch, columns = samples.shape
    extra = PADDING if pad and batch % AWKWARD_STRIDE == 0 else 0
    # As a batch of one: for two dimensions torch is single-threaded.
    turned = samples.unsqueeze(0).transpose(1, 2)
    if not extra:
        return turned.clone(memory_format=torch.contiguous_format).squeeze(0)
    rows = samples.new_empty(columns, batch + extra)
    rows[:, batch:] = 0
    rows[:, :batch].unsqueeze(0).copy_(turned)
    return rows


def to_samples(rows: Float[Tensor, "columns padded"], batch: int) -> Float[Tensor, "batch columns"]:
    """The inverse of `to_rows`."""
    return rows[:, :batch].unsqueeze(0).transpose(1, 2).contiguous().squeeze(0)


def leaf_sums(leaves: Tensor, layout: TreeLayout, weights: Tensor | None = None) -> Tensor:
    """The weighted sum over the classes under each row's node: (C, batch) → (nodes, batch)."""
    return torch.nn.functional.embedding_bag(
        layout.row_leaves, leaves, layout.row_offsets, mode="sum", per_sample_weights=weights
    )


def path_sums(rows: Tensor, layout: TreeLayout) -> Tensor:
    """The sum over the rows on each class's path, without the root: (nodes, batch) → (C, batch)."""
    return torch.nn.functional.embedding_bag(
        layout.path_rows, rows, layout.path_offsets, mode="sum"
    )


def mean_scores(leaves: Tensor, layout: TreeLayout) -> Tensor:
    """The mean of the logits under each row's node: (C, batch) → (nodes, batch)."""
    return leaf_sums(leaves, layout, layout.row_weights(leaves.dtype))


def relative_logsumexp_scores_(leaves: Tensor, layout: TreeLayout) -> Tensor:
    """The log-sum-exp under each row's node, less the sample's highest logit.

    A sum of positive terms keeps its relative precision, so one shift serves all nodes as long as
    no term leaves the range of exp(): (C, batch) → (nodes, batch).
    """
    return leaf_sums(leaves.sub_(leaves.amax(0)).exp_(), layout).log_()


def _block(rows: Tensor, siblings: Siblings) -> Tensor:
    """A view of one block of siblings: (nodes, batch) → (arity, families, batch)."""
    arity, start, families = siblings
    return rows[start : start + arity * families].view(arity, families, -1)


def decide_(scores: Tensor, layout: TreeLayout) -> Tensor:
    """Turns scores into log p(v | parent of v) in place, row by row; the root's row is dropped."""
    for siblings in layout.siblings:
        block = _block(scores, siblings)
        if siblings.arity == 2:
            # The log of σ(±margin): as precise as any way within exp()'s range, with the fewest
            # passes over memory.
            torch.sub(block[0], block[1], out=block[0])
            torch.neg(block[0], out=block[1])
            block.sigmoid_().log_()
        else:
            block -= block.amax(0)
            block -= block.exp().sum(0).log_()
    return scores[:-1]


def greedy_leaves_(scores: Tensor, layout: TreeLayout) -> Tensor:
    """The class reached by taking the child with the highest score: (nodes, batch) → (batch,)."""
    for siblings in layout.siblings:
        # From scores to 1 for every child that is not taken.
        block = _block(scores, siblings)
        if siblings.arity == 2:
            torch.gt(block[1], block[0], out=block[0])
            torch.sub(1, block[0], out=block[1])
            continue
        best = block == block.amax(0)
        if best.sum() == best[0].numel():
            torch.logical_not(best, out=block)
        else:  # ties: the first of the highest
            first = scan.first_max(block.movedim(0, -2)).unsqueeze(0)
            block.fill_(1).scatter_(0, first, 0)
    # Only one class has missed no decision on its path, so the sum is that class's number.
    # A matrix product would be rounded under autocast.
    reached = path_sums(scores[:-1], layout).neg_().add_(1).clamp_min_(0)
    numbers = torch.arange(layout.num_classes, device=scores.device, dtype=scores.dtype)
    return reached.mul_(numbers.unsqueeze(1)).sum(0).long()


def soft_mean(logits: Float[Tensor, "batch classes"], layout: TreeLayout) -> Tensor:
    """Soft log-probabilities under the score `mean`: (batch, C) → (batch, C)."""
    if logits.requires_grad:
        soft: Tensor = _SoftMean.apply(logits, layout)
        return soft
    return to_samples(path_sums(_decided(logits, layout), layout), len(logits))


def _decided(logits: Tensor, layout: TreeLayout) -> Tensor:
    return decide_(mean_scores(to_rows(logits, pad=True), layout), layout)


class _SoftMean(torch.autograd.Function):
    """`soft_mean` with its gradient written out; `nbdt.rules.scan` serves second derivatives."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, layout: TreeLayout) -> Tensor:
        rows = _decided(logits, layout)
        ctx.layout = layout
        ctx.save_for_backward(logits, rows)
        return to_samples(path_sums(rows, layout), len(logits))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        logits, rows = ctx.saved_tensors
        layout = ctx.layout
        if torch.is_grad_enabled():
            return torch.autograd.grad(
                scan.soft_mean(logits, layout), logits, grad, create_graph=True
            )[0], None
        # Back over the paths, the softmax of each family, and the means.
        grads = leaf_sums(to_rows(grad, pad=True), layout)
        for siblings in layout.siblings:
            block = _block(grads, siblings)
            block -= _block(rows, siblings).exp() * block.sum(0)
        grads *= layout.row_inverse_sizes(grads.dtype).unsqueeze(1)
        return to_samples(path_sums(grads, layout), len(grad)), None
