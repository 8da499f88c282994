"""The nodes that may be answered: the likeliest class of a sample and the nodes above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from nbdt.documents import described
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import TreeLayout
from nbdt.rules.checks import checked_ids, describe

# How far from 1 the sum of a row's probabilities may be.
_TOLERANCE = 0.01


class Candidates:
    """For each row of log-probabilities, the path up from its likeliest class.

    Everything is on the CPU and in float64, so that the same log-probabilities give the same
    answers on every device. `leaf` is the likeliest class ŷ of each row; among equals, the first.
    """

    leaf: Int[Tensor, " batch"]

    def __init__(self, log_probs: Float[Tensor, "batch classes"], layout: TreeLayout) -> None:
        check_log_probs(log_probs, layout)
        self.layout = layout
        self.root = layout.num_nodes - 1
        self.leaf = log_probs.detach().cpu().argmax(dim=-1)
        self.shares = log_probs.detach().cpu().double().exp()
        ordered = self.shares.index_select(-1, layout.leaf_order.cpu())
        self._before = pad(ordered.cumsum(-1), (1, 0))
        self._after = pad(ordered.flip(-1).cumsum(-1).flip(-1), (0, 1))
        if not ((self._after[:, 0] - 1).abs() <= _TOLERANCE).all():
            raise InputError(
                "log_probs have to be log-probabilities, whose exp() sums to 1 in every row; for "
                "logits call the model or log_softmax."
            )
        self._start, self._stop = layout.leaf_start.cpu(), layout.leaf_stop.cpu()
        self._parent = layout.jumps[0].cpu()

    def probability(self, node: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The p of one node a row: 1 minus what lies outside it.

        Outside are the classes before and after those of the node, as the tree is drawn. Both
        are sums of positive numbers from one end, which never fall on the way down; so p never
        rises, to the last bit. And where p is close to 1, 1 − p is precise.
        """
        before = self._before.gather(1, self._start[node].unsqueeze(1))
        after = self._after.gather(1, self._stop[node].unsqueeze(1))
        return 1 - (before + after).squeeze(1)

    def holds(
        self, node: Int[Tensor, " batch"], leaf: Int[Tensor, " batch"]
    ) -> Bool[Tensor, " batch"]:
        """Whether each row's node is the leaf or has it under it."""
        place = self._start[leaf]
        return (self._start[node] <= place) & (place < self._stop[node])

    def above(self, node: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """Each row's node one step up; the root stays."""
        return self._parent[node]

    def highest(self, wanted: Callable[[Tensor], Tensor]) -> Int[Tensor, " batch"]:
        """Climbs from the likeliest class as long as the next node is wanted.

        O(log depth) steps, as whole stretches are tried first: if a node is wanted, all candidates
        below it have to be wanted, too.
        """
        node = self.leaf
        for jump in reversed(self.layout.jumps.cpu().unbind()):
            above = jump[node]
            node = torch.where(wanted(above), above, node)
        return node

    def lowest(self, wanted: Callable[[Tensor], Tensor]) -> Int[Tensor, " batch"]:
        """The deepest candidate that is wanted, or the root; all above have to be wanted, too."""

        def unwanted(node: Tensor) -> Tensor:
            return ~wanted(node) & (node != self.root)

        return torch.where(unwanted(self.leaf), self.above(self.highest(unwanted)), self.leaf)


def checked_labels(labels: Any, batch: int, layout: TreeLayout) -> Int[Tensor, " batch"]:
    """The labels on the CPU, which have to be `batch` classes of the tree."""
    return checked_ids(labels, batch, layout.num_classes).cpu()


def checked_answers(answers: Any, layout: TreeLayout) -> Int[Tensor, " batch"]:
    """The answers on the CPU, which have to be nodes of the tree."""
    batch = len(answers) if isinstance(answers, Tensor) and answers.ndim else 1
    return checked_ids(answers, batch, layout.num_nodes, one="answer", of="nodes").cpu()


def check_layout(layout: Any) -> None:
    """Refuses anything but a TreeLayout."""
    if not isinstance(layout, TreeLayout):
        hint = ": TreeLayout(tree) makes one of it" if isinstance(layout, Hierarchy) else ""
        raise InputError(f"layout has to be a TreeLayout, got {described(layout)}{hint}.")


def check_log_probs(log_probs: Any, layout: Any) -> None:
    """Refuses anything but a tensor with a row a sample and a column a class of the tree."""
    check_layout(layout)
    rows = isinstance(log_probs, Tensor) and log_probs.is_floating_point() and log_probs.ndim == 2
    if not rows or log_probs.shape[1] != layout.num_classes:
        raise InputError(
            "log_probs have to be a tensor of floating-point numbers of shape (batch, "
            f"{layout.num_classes}), got {describe(log_probs)}."
        )
