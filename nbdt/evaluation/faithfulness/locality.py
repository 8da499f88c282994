"""Whether a decision rests on the scores of its own children, and answers on decisions alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nbdt.errors import InputError
from nbdt.rules import ScoreName, Temperature, TreeLayout, node_scores, scan


@dataclass(frozen=True)
class Locality:
    """What became of other decisions when one was interfered with.

    Attributes:
        decisions: how many decisions were interfered with.
        local: with how many of them that decision changed, and no other.
        gap: the largest difference, of all classes and samples, between the model's
            log-probability and the sum of the decisions on the class's path, in nats.

    Example:
        >>> Locality(decisions=40, local=40, gap=0.0).holds
        True
    """

    decisions: int
    local: int
    gap: float

    @property
    def holds(self) -> bool:
        """Whether every decision changed alone."""
        return self.local == self.decisions

    def to_dict(self) -> dict[str, Any]:
        """The check as values that JSON can hold."""
        return {
            "decisions": self.decisions,
            "local": self.local,
            "holds": self.holds,
            "gap": self.gap,
        }


def changed_decisions(
    scores: Float[Tensor, " nodes"],
    layout: TreeLayout,
    node: int,
    child_scores: Float[Tensor, " children"],
) -> tuple[int, ...]:
    """The inner nodes that decide otherwise when the children of one node get other scores.

    A decision is the softmax of its children's scores, so it can only be `node` itself, or none
    where the new scores differ from the old by one number.

    Args:
        scores: what every node is worth, as `nbdt.rules.node_scores` gives it; shape (nodes,).
        layout: the tree.
        node: an inner node.
        child_scores: what its children are worth instead, lowest id first.

    Raises:
        InputError: the node is a class, or the scores are not one for each child.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> scores = node_scores(torch.tensor([3.0, 2.0, 0.0]), layout)
        >>> changed_decisions(scores, layout, 3, torch.tensor([-5.0, 5.0]))
        (3,)
    """
    children = layout.hierarchy.children(node)
    if child_scores.shape != (len(children),) or not children:
        raise InputError(
            f"node {node} has {len(children)} children, so as many scores are needed, and at least "
            f"two; got the shape {tuple(child_scores.shape)}."
        )
    replaced = scores.clone()
    replaced[list(children)] = child_scores.to(scores)
    before, after = (scan.decisions(one, layout) for one in (scores, replaced))
    changed = (before != after).nonzero()[:, 0].tolist()
    return tuple(sorted({int(layout.hierarchy.parents[child]) for child in changed}))


def check_locality(
    logits: Float[Tensor, "batch classes"],
    layout: TreeLayout,
    *,
    score: ScoreName = "logsumexp",
    temperature: Temperature | None = None,
) -> Locality:
    """Interferes with every decision on each sample's hard path, and looks at all the others.

    The child taken gets the score of its nearest sibling less 1, so that the decision turns.

    Args:
        logits: the network's logits, a row a sample; −inf masks a class out.
        layout: the tree, where the logits are.
        score: what a node is worth.
        temperature: what the logits, or the scores at single nodes, are divided by, if anything.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> check_locality(torch.tensor([[3.0, 2.0, 0.0]]), layout).decisions
        2
    """
    tree, temperature = layout.hierarchy, temperature or Temperature()
    logits = logits.detach()
    decisions = local = 0
    answers = temperature.hard_predict(logits, layout, score).tolist()
    scores = node_scores(temperature.divide(logits), layout, score)
    for row, answer in zip(scores, answers, strict=True):
        for node, taken in pairwise(tree.path(answer)):
            children = tree.children(node)
            turned = row[list(children)]
            place = children.index(taken)
            turned[place] = -torch.inf
            turned[place] = turned.max() - 1
            decisions += 1
            local += changed_decisions(row, layout, node, turned) == (node,)
    sums = scan.path_sums(temperature.decisions(logits, layout, score), layout)
    log_probs = temperature.log_probs(logits, layout, score)
    gaps = (log_probs - sums).abs().masked_fill(log_probs == sums, 0)  # −∞ for a masked class
    return Locality(decisions, local, float(gaps.max()) if len(logits) else 0.0)
