"""How good answers are that may stop early: how often they are valid, and how much they tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbdt.errors import InputError
from nbdt.hierarchy.validation import FloatArray, IntArray
from nbdt.rules import TreeLayout
from nbdt.selective.conformal import (
    Candidates,
    check_layout,
    check_log_probs,
    checked_answers,
    checked_labels,
)

# How many samples are looked at together: memory is that of so many rows, whatever their number.
_ROWS = 1024


def is_valid(
    answers: Int[Tensor, " batch"], labels: Int[Tensor, " batch"], layout: TreeLayout
) -> Bool[Tensor, " batch"]:
    """Whether each true class lies under the node answered; the mean is the *validity*."""
    check_layout(layout)
    nodes = checked_answers(answers, layout)
    place = layout.leaf_start.cpu()[checked_labels(labels, len(nodes), layout)]
    return (layout.leaf_start.cpu()[nodes] <= place) & (place < layout.leaf_stop.cpu()[nodes])


def information_kept(answers: Int[Tensor, " batch"], layout: TreeLayout) -> Float[Tensor, " batch"]:
    """1 − log|L(v)| / log C of each node v answered: 1 for a class, 0 for the root; in float64.

    L(v) are the classes under v (Goren et al., NeurIPS 2024, where this is the coverage).
    """
    check_layout(layout)
    sizes = layout.sizes.cpu()[checked_answers(answers, layout)].double()
    return 1 - sizes.log() / math.log(layout.num_classes)


@dataclass(frozen=True, eq=False)
class Curve:
    """The validity gained for information given up, over all thresholds.

    Attributes:
        thresholds: −∞ and then every p at which some answer changes, rising; shape (points,).
        information: the mean information kept at each; from 1 down to 0.
        validity: the share of answers that hold the true class; from the accuracy to 1.
    """

    thresholds: FloatArray
    information: FloatArray
    validity: FloatArray

    @property
    def area(self) -> float:
        """HAURC (Goren et al., 2024): the area of 1 − validity over information; trapezoids."""
        risk = 1 - self.validity
        return float(np.sum((risk[1:] + risk[:-1]) / 2 * -np.diff(self.information)))

    def information_at(self, validity: float) -> float:
        """The most information that is kept where at least this share of answers is valid."""
        return float(self.information[self.validity >= validity].max(initial=0.0))


def curve(
    log_probs: Float[Tensor, "samples classes"], labels: Int[Tensor, " samples"], layout: TreeLayout
) -> Curve:
    """Validity and information kept by `stop` at every threshold there is.

    With the layout of a flat tree (`nbdt.hierarchy.shapes.flat`) this is plain selective
    classification: the likeliest class or no answer.

    Example:
        >>> from nbdt.hierarchy import Hierarchy
        >>> layout = TreeLayout(Hierarchy([4, 4, 5, 5, 6, 6, -1], ["cat", "dog", "car", "bus"]))
        >>> log_probs = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.5, 0.4, 0.1, 0.0]]).log()
        >>> found = curve(log_probs, torch.tensor([0, 1]), layout)
        >>> found.information.round(2).tolist(), found.validity.tolist()
        ([1.0, 0.75, 0.5, 0.25, 0.0], [0.5, 1.0, 1.0, 1.0, 1.0])
        >>> round(found.area, 4), found.information_at(0.9)
        (0.0625, 0.75)
    """
    check_log_probs(log_probs, layout)
    true = checked_labels(labels, len(log_probs), layout)
    if not len(true):
        raise InputError("a curve needs at least one sample, got none.")
    right = 0
    changes = []
    for rows, some in zip(torch.split(log_probs, _ROWS), torch.split(true, _ROWS), strict=True):
        candidates = Candidates(rows, layout)
        right += int((candidates.leaf == some).sum())
        changes += list(_changes(candidates, some))
    at, given_up, gained = (np.concatenate(column) for column in zip(*changes, strict=True))
    order = np.argsort(at, kind="stable")
    # Where several answers change at one threshold, what counts is when all have.
    last = np.flatnonzero(np.append(np.diff(at[order]) > 0, True))
    samples = len(true)
    return Curve(
        thresholds=np.append(-np.inf, at[order][last]),
        information=np.append(1.0, 1 - given_up[order].cumsum()[last] / samples),
        validity=np.append(right, right + gained[order].cumsum()[last]) / samples,
    )


def _changes(
    candidates: Candidates, true: Tensor
) -> Iterator[tuple[FloatArray, FloatArray, IntArray]]:
    """What changes at each step up, for the samples that are not at the root yet.

    Yields the p of the samples' nodes, which is the threshold from which on the node above is
    the answer; the information given up by that; and whether the answer becomes a valid one.
    """
    layout, sizes = candidates.layout, candidates.layout.sizes.cpu().double()
    node = candidates.leaf
    while True:
        below = node != candidates.root
        if not below.any():
            return
        above = candidates.above(node)
        given_up = (sizes[above].log() - sizes[node].log()) / math.log(layout.num_classes)
        gained = candidates.holds(above, true) & ~candidates.holds(node, true)
        at = candidates.probability(node)
        yield at[below].numpy(), given_up[below].numpy(), gained[below].long().numpy()
        node = above
