"""The ways to answer that accuracy is measured of: both rules under both scores."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nbdt.rules import Rule, Score, Temperature, TreeLayout

RULE_SCORES: tuple[tuple[Rule, Score], ...] = (
    ("soft", "logsumexp"),
    ("hard", "logsumexp"),
    ("soft", "mean"),
    ("hard", "mean"),
)
"""In the order of tables: `logsumexp` first, which keeps a network's accuracy."""


class Answers(NamedTuple):
    """The classes answered; and the log-probabilities that rank all classes, or None."""

    classes: Tensor
    ranking: Tensor | None


def answers_by(
    rule: Rule, score: Score, logits: Tensor, layout: TreeLayout, temperature: Temperature
) -> Answers:
    """What a tree answers one way.

    Args:
        rule: "soft" or "hard"; the latter ranks no classes.
        score: what a node is worth.
        logits: the network's, a row a sample; on the layout's device.
        layout: the tree.
        temperature: what the logits or decisions are divided by.

    Example:
        >>> import torch
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> logits = torch.tensor([[2.0, 2.0, 2.2]])
        >>> [answers_by(*way, logits, layout, Temperature()).classes.item() for way in RULE_SCORES]
        [2, 0, 2, 2]
    """
    if rule == "hard":
        return Answers(temperature.hard_predict(logits, layout, score), None)
    values = temperature.log_probs(logits, layout, score)
    return Answers(values.max(dim=-1).indices, values)
