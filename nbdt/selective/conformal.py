"""Stopping when unsure, as pure functions on log-probabilities.

For a sample (x, y) with the likeliest class ŷ, the candidates are ŷ and the nodes above it, and
p(v) is the sum of the probabilities of the classes under v.

- The *calibration score* is S = p(the child of lca(ŷ, y) towards ŷ), and −∞ if ŷ = y.
- The *threshold* t for a guarantee 1 − α is the ⌈(n + 1)(1 − α)⌉-th smallest of n scores.
- The *answer* is the deepest candidate with p > t; the root always qualifies.

An answer misses y only if it lies at the child that S is of, or below it, and so only if S > t.
Where the scores of the calibration samples and of the test sample are exchangeable, S > t happens
with a probability of at most α, whatever the network, the tree and n: split conformal prediction
(Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Angelopoulos and
Bates, arXiv 2107.07511, section 1), climbing as in Goren, Galil and El-Yaniv, "Hierarchical
Selective Classification", NeurIPS 2024.

It is compared with *conformal sets*: a set holds every class whose probability is at least a
threshold (the least ambiguous sets of Sadinle, Lei and Wasserman, J. Am. Stat. Assoc. 114, 2019),
and with the promised probability the true one. The lowest node above the whole set keeps the
promise, so it too is an answer; but one unlikely class far away pushes it up to the root.

`log_probs` are the soft log-probabilities of all classes, as a model gives them; `layout` is the
tree. All functions raise `InputError` for anything else.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from nbdt.documents import described
from nbdt.errors import InputError
from nbdt.hierarchy import Hierarchy
from nbdt.rules import TreeLayout
from nbdt.rules.checks import checked_ids, describe

ROUNDING = 1e-4
"""How far apart, in nats, two float32 log-probabilities of one class and sample may be."""


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
                "log_probs must be log-probabilities, whose exp() sums to 1 in every row; for "
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
        raise InputError(f"layout must be a TreeLayout, got {described(layout)}{hint}.")


def check_log_probs(log_probs: Any, layout: Any) -> None:
    """Refuses anything but a tensor with a row a sample and a column a class of the tree."""
    check_layout(layout)
    rows = isinstance(log_probs, Tensor) and log_probs.is_floating_point() and log_probs.ndim == 2
    if not rows or log_probs.shape[1] != layout.num_classes:
        raise InputError(
            "log_probs must be a tensor of floating-point numbers of shape (batch, "
            f"{layout.num_classes}), got {describe(log_probs)}."
        )


def calibration_scores(
    log_probs: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"], layout: TreeLayout
) -> Float[Tensor, " batch"]:
    """S = p(the child of lca(ŷ, y) towards ŷ) of each sample, −∞ where ŷ = y; in float64."""
    candidates = Candidates(log_probs, layout)
    true = checked_labels(labels, len(log_probs), layout)
    towards = candidates.highest(lambda node: ~candidates.holds(node, true))
    scores = candidates.probability(towards)
    return scores.masked_fill(candidates.leaf == true, -math.inf).to(log_probs.device)


def threshold(scores: Float[Tensor, " samples"], guarantee: float) -> float:
    """The ⌈(n + 1) · guarantee⌉-th smallest of n calibration scores.

    The guarantee is taken as it is written in decimals: 0.95 is 19/20.

    Example:
        >>> scores = torch.arange(1.0, 20.0)  # 1 to 19
        >>> threshold(scores, 0.9), threshold(scores, 0.95)
        (18.0, 19.0)
        >>> threshold(scores, 0.99)
        Traceback (most recent call last):
        nbdt.errors.InputError: a guarantee of 0.99 needs at least 99 calibration samples, got 19...
    """
    share = Fraction(str(checked_guarantee(guarantee)))
    if not isinstance(scores, Tensor) or scores.ndim != 1 or bool(scores.isnan().any()):
        raise InputError(f"scores must be a tensor of numbers in a row, got {describe(scores)}.")
    samples = len(scores)
    rank = math.ceil((samples + 1) * share)
    if rank > samples:
        least = math.ceil(share / (1 - share))
        raise InputError(
            f"a guarantee of {guarantee} needs at least {least:,} calibration samples, got "
            f"{samples:,}; give more, or ask for less."
        )
    return float(scores.kthvalue(rank).values)


def above_rounding(t: float) -> float:
    """The threshold, raised by what rounding may add to a p that equals it.

    A sample is rounded differently in another batch or on another machine, and one that would
    stop at the threshold must not slip past it. Log-probabilities that differ by up to `ROUNDING`
    nats change 1 − p by a factor of at least exp(−`ROUNDING`), so a sample with S ≤ t stays at
    or below the raised threshold. The cost: answers whose 1 − p is within 0.01 % of 1 − t. One
    thing is left to chance: two likeliest classes that tie to within rounding may change places.
    """
    # The last bits make up for the rounding of 1 − p itself, where p is next to 1.
    return t if math.isinf(t) else t + ROUNDING * (1 - t) + 4 * sys.float_info.epsilon


def stop(
    log_probs: Float[Tensor, "batch classes"],
    layout: TreeLayout,
    t: float | Float[Tensor, " batch"],
) -> Int[Tensor, " batch"]:
    """The node answered for each sample, the deepest candidate with p > t: ŷ or a node above it.

    The threshold t is one for all samples, or one for each.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car"]))
        >>> log_probs = torch.tensor([[0.6, 0.3, 0.1]]).log().expand(3, 3)
        >>> stop(log_probs, layout, torch.tensor([0.5, 0.7, 0.95]))  # cat, node 3, the root
        tensor([0, 3, 4])
    """
    candidates = Candidates(log_probs, layout)
    least = torch.as_tensor(t, dtype=torch.float64).cpu()
    if least.shape not in ((), candidates.leaf.shape):
        raise InputError(f"t must be one number, or one per sample; got {describe(least)}.")
    answers = candidates.lowest(lambda node: candidates.probability(node) > least)
    return answers.to(log_probs.device)


def superclass(
    log_probs: Float[Tensor, "batch classes"], layout: TreeLayout
) -> Int[Tensor, " batch"]:
    """The child of the root above each sample's likeliest class; it may be that class itself."""
    candidates = Candidates(log_probs, layout)
    return candidates.highest(lambda node: node != candidates.root).to(log_probs.device)


def checked_guarantee(guarantee: Any) -> float:
    """The guarantee as a float, which has to be between 0 and 1."""
    if not isinstance(guarantee, float | np.floating) or not 0 < guarantee < 1:
        raise InputError(
            f"a guarantee must be a share between 0 and 1, such as 0.95; got {guarantee!r:.80}."
        )
    return float(guarantee)


# ── conformal sets ────────────────────────────────────────────────────────────────────────────


def set_scores(
    log_probs: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"], layout: TreeLayout
) -> Float[Tensor, " batch"]:
    """1 − p(y) of each sample; `threshold` of them is the threshold of the conformal sets."""
    shares = Candidates(log_probs, layout).shares
    true = checked_labels(labels, len(log_probs), layout)
    return 1 - shares.gather(1, true.unsqueeze(1)).squeeze(1)


def common_ancestor(
    log_probs: Float[Tensor, "batch classes"], layout: TreeLayout, t: float
) -> Int[Tensor, " batch"]:
    """The lowest node above the likeliest class and every class with 1 − p ≤ t."""
    candidates = Candidates(log_probs, layout)
    place = layout.leaf_start.cpu()[: layout.num_classes]
    members = (1 - candidates.shares <= t).scatter(1, candidates.leaf.unsqueeze(1), True)
    # A node is above all of the set if it is above the first and the last, as the tree is drawn.
    first = torch.where(members, place, layout.num_classes).argmin(dim=1)
    last = torch.where(members, place, -1).argmax(dim=1)
    return candidates.lowest(
        lambda node: candidates.holds(node, first) & candidates.holds(node, last)
    )
