"""Conformal sets cut to their common ancestor: what stopping when unsure is compared to.

A split-conformal set holds every class whose probability is at least a threshold (the least
ambiguous sets of Sadinle, Lei and Wasserman, J. Am. Stat. Assoc. 114, 2019), and with the promised
probability the true one. The lowest node above all of the set keeps the promise, so it too is an
answer; but one unlikely class far off is enough to push it up to the root.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbdt.rules import TreeLayout
from nbdt.selective.candidates import Candidates, checked_labels


def set_scores(
    log_probs: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"], layout: TreeLayout
) -> Float[Tensor, " batch"]:
    """1 − p(y) of each sample; `nbdt.selective.threshold` of them is that of the sets.

    Args:
        log_probs: the soft log-probability of every class, as a model gives it.
        labels: the true classes.
        layout: the tree.

    Raises:
        InputError: these are no log-probabilities, or no labels, of the tree's classes.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> set_scores(torch.tensor([[0.6, 0.3, 0.1]]).log(), torch.tensor([1]), layout)
        tensor([0.7000], dtype=torch.float64)
    """
    shares = Candidates(log_probs, layout).shares
    true = checked_labels(labels, len(log_probs), layout)
    return 1 - shares.gather(1, true.unsqueeze(1)).squeeze(1)


def common_ancestor(
    log_probs: Float[Tensor, "batch classes"], layout: TreeLayout, t: float
) -> Int[Tensor, " batch"]:
    """The lowest node above the likeliest class and every class with 1 − p ≤ t.

    Args:
        log_probs: the soft log-probability of every class, as a model gives it.
        layout: the tree.
        t: the threshold.

    Returns:
        Ids of nodes.

    Raises:
        InputError: these are no log-probabilities of the tree's classes.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> log_probs = torch.tensor([[0.6, 0.3, 0.1]]).log()
        >>> [common_ancestor(log_probs, layout, t).item() for t in (0.5, 0.8, 0.95)]
        [0, 3, 4]
    """
    candidates = Candidates(log_probs, layout)
    place = layout.leaf_start.cpu()[: layout.num_classes]
    members = (1 - candidates.shares <= t).scatter(1, candidates.leaf.unsqueeze(1), True)
    # A node is above all of the set if it is above the first and the last, as the tree is drawn.
    first = torch.where(members, place, layout.num_classes).argmin(dim=1)
    last = torch.where(members, place, -1).argmax(dim=1)
    return candidates.lowest(
        lambda node: candidates.holds(node, first) & candidates.holds(node, last)
    )
