"""The rules as scans over the leaf order: correct for every input, tree and compiler.

Tensors are batch-first, and the number of steps grows only with log C or log depth, whatever the
tree's shape. No branch depends on the data, so the code can be compiled and exported. Masked
classes (logits of −inf) and extreme logits are handled here. Callers pass float64, because a
difference of running sums cancels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.rules.layout import Siblings, TreeLayout


def soft_mean(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout
) -> Float[Tensor, "*batch classes"]:
    """Soft log-probabilities under the score `mean`, in the logits' own dtype."""
    scores = mean_scores(widened(logits), layout)
    return path_sums(decisions(scores, layout), layout).to(logits.dtype)


def widened(logits: Tensor) -> Tensor:
    """The logits in float64, except on Apple's GPUs, which don't support it."""
    return logits if logits.device.type == "mps" else logits.double()


def mean_scores(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout
) -> Float[Tensor, "*batch nodes"]:
    """The mean of the unmasked logits under each node; −inf if all are masked."""
    ordered = logits.index_select(-1, layout.leaf_order)
    masked = torch.isneginf(ordered)
    totals = _range_sums(ordered.masked_fill(masked, 0), layout)
    counts = _range_sums((~masked).to(logits.dtype), layout)
    means = (totals / counts.clamp_min(1)).masked_fill(counts == 0, -torch.inf)
    # A class is exactly its own mean.
    return torch.cat([logits, means[..., layout.num_classes :]], dim=-1)


def _range_sums(
    ordered: Float[Tensor, "*batch classes"], layout: TreeLayout
) -> Float[Tensor, "*batch nodes"]:
    sums = torch.nn.functional.pad(ordered.cumsum(-1), (1, 0))
    return sums.index_select(-1, layout.leaf_stop) - sums.index_select(-1, layout.leaf_start)


def logsumexp_scores(
    logits: Float[Tensor, "*batch classes"], layout: TreeLayout
) -> Float[Tensor, "*batch nodes"]:
    """The log of the sum of exp(logits) under each node; −inf if all are masked."""
    ordered = logits.index_select(-1, layout.leaf_order)
    width = 1 << (layout.num_classes - 1).bit_length()
    level = torch.nn.functional.pad(ordered, (0, width - layout.num_classes), value=-torch.inf)
    levels = [level]
    while width > 1:
        width //= 2
        level = _logaddexp(level[..., 0::2], level[..., 1::2])
        levels.append(level)
    blocks = torch.cat(levels, dim=-1).index_select(-1, layout.blocks)
    # Round r adds the (r + 1)-th block of the nodes that have one, which come first.
    first, *later = torch.split(blocks, list(layout.block_counts), dim=-1)
    for block in later:
        count = block.shape[-1]
        first = torch.cat([_logaddexp(first[..., :count], block), first[..., count:]], dim=-1)
    return first.index_select(-1, layout.block_place)


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    # Like torch.logaddexp, but if both are −inf the gradient is 0, not NaN.
    nothing = torch.isneginf(a) & torch.isneginf(b)
    total = torch.logaddexp(a.masked_fill(nothing, 0), b.masked_fill(nothing, 0))
    return total.masked_fill(nothing, -torch.inf)


def _block(rows: Tensor, siblings: Siblings) -> Tensor:
    """One block of siblings: (…, nodes) → (…, arity, families)."""
    arity, start, families = siblings
    block = rows[..., start : start + arity * families]
    return block.reshape(*rows.shape[:-1], arity, families)


def decisions(
    scores: Float[Tensor, "*batch nodes"], layout: TreeLayout
) -> Float[Tensor, "*batch nodes"]:
    """The log-probability of every node given its parent, by node id; 0 at the root.

    If all children of a node are masked, they share its probability evenly.
    """
    rows = scores.index_select(-1, layout.row_node)
    blocks = []
    for siblings in layout.siblings:
        block = _block(rows, siblings)
        dead = torch.isneginf(block).all(dim=-2, keepdim=True)
        blocks.append(block.masked_fill(dead, 0).log_softmax(dim=-2).flatten(-2))
    root = torch.zeros_like(rows[..., -1:])
    return torch.cat([*blocks, root], dim=-1).index_select(-1, layout.node_row)


def path_sums(
    values: Float[Tensor, "*batch nodes"], layout: TreeLayout
) -> Float[Tensor, "*batch classes"]:
    """The sum of `values`, which are 0 at the root, over each class's path, by doubling."""
    for jump in layout.jumps:
        values = values + values.index_select(-1, jump)
    return values[..., : layout.num_classes]


def greedy_leaves(
    scores: Float[Tensor, "*batch nodes"], layout: TreeLayout
) -> Int[Tensor, "*batch"]:
    """The class reached by taking the child with the highest score at each node, by doubling."""
    rows = scores.index_select(-1, layout.row_node)
    row_node = layout.row_node
    leaves = torch.arange(layout.num_classes, device=scores.device)
    parts, nodes = [leaves.expand(*scores.shape[:-1], -1)], [leaves]
    for siblings in layout.siblings:
        _, start, families = siblings
        best = first_max(_block(rows, siblings))
        parts.append(
            row_node[start + best * families + torch.arange(families, device=scores.device)]
        )
        nodes.append(layout.jumps[0].index_select(0, row_node[start : start + families]))
    # From "the best child of each node" to "the leaf below each node", in log(depth) steps.
    below = torch.cat(parts, dim=-1).index_select(-1, torch.cat(nodes).argsort())
    for _ in range(len(layout.jumps)):
        below = below.gather(-1, below)
    return below[..., -1]


def first_max(block: Float[Tensor, "*batch arity families"]) -> Int[Tensor, "*batch families"]:
    """Which sibling has the highest score; ties go to the first."""
    arity = block.shape[-2]
    if arity == 2:
        return (block[..., 1, :] > block[..., 0, :]).long()
    return block.movedim(-2, -1).contiguous().argmax(dim=-1)
